//! The rules of the tokenizer. At each offset the rule with the longest match applies, among equals the first one.
//! Some rules also match text after their token, which is then matched again.

use std::cell::RefCell;
use std::sync::LazyLock;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::{Anchored, Input, MatchKind};

use super::abbreviations::{
    BEFORE_NUMBER, CAPITALIZED, OPENERS, SMALL_TITLES, SMALL_WORDS, TITLES, WORDS,
};
use super::spelling::Spelling;

/// Which part of a match is the token.
#[derive(Debug, Clone, Copy)]
enum TokenPart {
    All,
    /// All but this many bytes at the end.
    Less(usize),
    /// This many bytes at the start.
    First(usize),
    /// The part before the last apostrophe.
    BeforeApostrophe,
    /// The part before the n of `n't`.
    BeforeNt,
    /// Up to the last period.
    ToPeriod,
    /// All but this many characters at the end.
    LessChars(usize),
}

/// One rule: its pattern, and how its match becomes a token.
pub(super) struct Rule {
    pattern: String,
    part: TokenPart,
    pub(super) spelling: Spelling,
}

impl Rule {
    /// Length in bytes of the token in a match of the rule.
    pub(super) fn token_length(&self, matched: &str) -> usize {
        let apostrophe = || {
            let character = matched.rfind(['\'', '`', '\u{92}', '’', '\u{91}', '‘', '‛']);
            let entity = matched.to_ascii_lowercase().rfind("&apos;");
            character.max(entity).unwrap_or(matched.len())
        };
        match self.part {
            TokenPart::All => matched.len(),
            TokenPart::Less(bytes) => matched.len() - bytes,
            TokenPart::First(bytes) => bytes,
            TokenPart::BeforeApostrophe => apostrophe(),
            TokenPart::BeforeNt => apostrophe() - 1,
            TokenPart::ToPeriod => matched
                .rfind('.')
                .map_or(matched.len(), |period| period + 1),
            TokenPart::LessChars(count) => {
                matched.len()
                    - matched
                        .chars()
                        .rev()
                        .take(count)
                        .map(char::len_utf8)
                        .sum::<usize>()
            }
        }
    }
}

const SPACE_OR_LINE: &str =
    r"[ \t\r\n\u{A0}\u{2000}-\u{200A}\u{3000}\u{2028}\u{2029}\u{0B}\u{0C}\u{85}]";
const APOSTROPHE: &str = r"(?:['\u{92}\u{2019}]|(?i-u:&apos;))";
const ANY_APOSTROPHE: &str = r"(?:['`\u{91}\u{92}\u{2018}\u{2019}\u{201B}]|(?i-u:&apos;))";
/// Only the Basic Multilingual Plane, as in the official tokenizer.
const BASIC_LETTER: &str = r"[\p{L}&&[\u{0}-\u{FFFF}]]";
const BASIC_DIGIT: &str = r"[\p{Nd}&&[\u{0}-\u{FFFF}]]";
/// Punctuation within a sentence.
const PAUSE: &str = r"[,;:\u{3001}]";
const HYPHEN: &str = r"[-_\u{58A}\u{2010}\u{2011}]";

fn rules() -> Vec<Rule> {
    use Spelling::{
        Ampersand, Bracket, Currency, Dropped, Entity, Fraction, Quotes, Same, Spaced, Word,
    };
    use TokenPart::{All, BeforeApostrophe, BeforeNt, First, Less, LessChars, ToPeriod};

    let letter = format!(
        r"(?:[\p{{L}}\p{{M}}\u{{AD}}\u{{2C2}}-\u{{2C5}}\u{{2D2}}-\u{{2FF}}\u{{384}}\u{{385}}\u{{3F6}}&&[\u{{0}}-\u{{FFFF}}]]|{ENTITY_LETTER})"
    );
    let run = format!("{letter}(?:{letter}|{BASIC_DIGIT})*");
    let word = format!("{run}(?:[.!?]{run})*");
    let clitic = format!("{APOSTROPHE}(?:[msdMSD]|(?i-u:re|ve|ll))");
    let negation = format!("(?i-u:n){ANY_APOSTROPHE}(?i-u:t)");
    let alnum = format!("(?:{BASIC_LETTER}|{BASIC_DIGIT})");
    let elided = format!("(?:[dDoOlL]{ANY_APOSTROPHE}{alnum})?{alnum}+");
    let compound = format!("{elided}(?:{HYPHEN}{elided})*");
    let acronym = r"(?:[A-Za-z](?:\.[A-Za-z])+|(?i-u:(?:canada|sino|korean|eu|japan|non)-u\.s|u\.s\.-(?:u\.k|u\.s\.s\.r)))";
    let mixed =
        format!(r"[A-Za-z0-9][A-Za-z0-9.,\u{{AD}}]*(?:-(?:[A-Za-z0-9\u{{AD}}]+|{acronym}\.))+");
    let ampersands = r"[A-Z]+(?:(?:[+&]|(?i-u:&amp;))[A-Z]+)+";
    let number = format!(
        r"[-+]?(?:{BASIC_DIGIT}+|{BASIC_DIGIT}*(?:[.:,\u{{AD}}\u{{66B}}\u{{66C}}]{BASIC_DIGIT}+)+)"
    );
    let within = format!("(?:(?i-u:{WORDS})|{CAPITALIZED}|{SMALL_WORDS})");
    let side = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}";

    let tag_name = "[A-Za-z][A-Za-z0-9_:.-]*";
    let tag = format!(
        r#"<(?:[!?][A-Za-z-][^>\r\n]*|{tag_name}(?:\ +{tag_name}(?:\ *=\ *(?:'[^'\r\n]*'|"[^"\r\n]*"))?)*\ */?|/{tag_name})\ *>"#
    );
    let path = r#"(?:/[^ \t\n\x0C\r"<>|(){}]+[^ \t\n\x0C\r"<>|.!?(){},-])"#;
    let mail = r#"[^ \t\n\x0C\r"<>|(){}.\u{A0}]"#;

    let rule = |part, spelling, pattern: String| Rule {
        pattern,
        part,
        spelling,
    };
    let fixed = |part, spelling, pattern: &str| Rule {
        pattern: pattern.to_owned(),
        part,
        spelling,
    };
    vec![
        // Words that are two tokens.
        fixed(Less(3), Same, "(?i-u:cannot)"),
        fixed(Less(2), Same, "(?i-u:gonna|gotta|lemme|gimme|wanna)"),
        fixed(First(2), Same, "(?i-u:'tis|'twas)"),
        // Markup, as in old corpora.
        rule(All, Spaced, tag),
        fixed(
            All,
            Dropped,
            r"(?i-u:&(?:MD|mdash|ndash);)|[\u{96}\u{97}\u{2013}-\u{2015}]",
        ),
        fixed(All, Ampersand, "(?i-u:&amp;)"),
        fixed(
            All,
            Same,
            "(?i-u:&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq|#[0-9]+);)",
        ),
        // Words and their clitics.
        rule(BeforeApostrophe, Word, format!("{word}{clitic}")),
        rule(
            BeforeNt,
            Word,
            format!(r"[A-Za-z\u{{AD}}]*[A-MO-Za-mo-z]\u{{AD}}*{negation}"),
        ),
        rule(All, Word, word.clone()),
        rule(All, Same, apostrophe_words()),
        rule(
            LessChars(1),
            Same,
            format!("(?i-u:y){APOSTROPHE}{BASIC_LETTER}"),
        ),
        // URLs, host names, mail addresses, handles and hashtags.
        fixed(
            All,
            Same,
            r#"(?i-u:https?)://[^ \t\n\x0C\r"<>|(){}]+[^ \t\n\x0C\r"<>|.!?(){},-]"#,
        ),
        rule(
            All,
            Same,
            format!(
                r#"(?:(?i-u:www)\.(?:[^ \t\n\x0C\r"<>|.!?(){{}},]+\.)+[A-Za-z]{{2,4}}|(?:[^ \t\n\x0C\r"`'<>|.!?(){{}},-_$]+\.)+(?i-u:com|net|org|edu)){path}?"#
            ),
        ),
        rule(
            All,
            Same,
            format!(
                r#"(?:<|(?i-u:&lt;))?[A-Za-z0-9][^ \t\n\x0C\r"<>|(){{}}\u{{A0}}]*@(?:{mail}+\.)*{mail}+(?:>|(?i-u:&gt;))?"#
            ),
        ),
        rule(All, Same, format!("@[A-Za-z_][A-Za-z_0-9]*|#{letter}+")),
        rule(LessChars(1), Quotes, format!("{clitic}[^A-Za-z]")),
        rule(All, Quotes, negation.clone()),
        // Numbers.
        rule(
            All,
            Same,
            format!("{BASIC_DIGIT}{{1,2}}[-/]{BASIC_DIGIT}{{1,2}}[-/]{BASIC_DIGIT}{{2,4}}"),
        ),
        rule(All, Word, number),
        fixed(
            All,
            Same,
            r"[\u{207A}\u{207B}\u{208A}\u{208B}]?(?:[\u{2070}\u{B9}\u{B2}\u{B3}\u{2074}-\u{2079}]+|[\u{2080}-\u{2089}]+)",
        ),
        rule(
            All,
            Spaced,
            format!(
                r"(?:{BASIC_DIGIT}{{1,4}}[- \u{{A0}}])?{BASIC_DIGIT}{{1,4}}(?:\\?/|\u{{2044}}){BASIC_DIGIT}{{1,4}}"
            ),
        ),
        fixed(All, Fraction, r"[\u{BC}\u{BD}\u{BE}\u{2153}-\u{215E}]"),
        rule(
            All,
            Ampersand,
            format!(
                r"(?i-u:-(?:RRB|LRB|RCB|LCB|RSB|LSB)-|C\.D\.s|pro-|anti-|S(?:&|&amp;)P-500|S(?:&|&amp;)Ls)|(?i-u:cap){APOSTROPHE}(?i-u:n)|(?i-u:c){APOSTROPHE}(?i-u:est)"
            ),
        ),
        rule(All, Same, format!(r"{side}(?:\\?/{side}){{1,2}}")),
        fixed(All, Same, r"[A-Z]*\$|#"),
        fixed(
            All,
            Currency,
            r"[¢£¤¥\u{80}\u{20A0}\u{20AC}\u{60B}\u{E3F}\u{20A4}\u{FFE0}\u{FFE1}\u{FFE5}\u{FFE6}]",
        ),
        // Abbreviations.
        rule(
            First(1),
            Same,
            format!(r"[A-Za-z]\.{SPACE_OR_LINE}+(?:{OPENERS}){SPACE_OR_LINE}"),
        ),
        // The two characters after the period make this match longer than that of a word with a period.
        rule(LessChars(2), Same, format!(r"{within}\.(?s:..)")),
        rule(
            ToPeriod,
            Same,
            format!(r"(?i-u:{BEFORE_NUMBER})\.{SPACE_OR_LINE}?{BASIC_DIGIT}"),
        ),
        rule(
            All,
            Same,
            format!(r"(?:[A-Za-z]|(?i-u:{TITLES})|{SMALL_TITLES}|{within}|{acronym})\."),
        ),
        rule(LessChars(1), Same, format!("{acronym}{SPACE_OR_LINE}")),
        // File names.
        rule(
            LessChars(1),
            Same,
            format!(
                r"(?:(?:{letter}|{BASIC_DIGIT})+\.)+(?i-u:{EXTENSIONS})(?:[.?!,]|{SPACE_OR_LINE})"
            ),
        ),
        // Years, sentence parts, telephone numbers.
        rule(
            LessChars(1),
            Same,
            format!("{APOSTROPHE}[0-9][0-9]{SPACE_OR_LINE}"),
        ),
        rule(LessChars(1), Word, format!(r"{word}\.{PAUSE}")),
        fixed(
            All,
            Spaced,
            r"(?:\([0-9]{2,3}\)[ \u{A0}]?|(?:\+\+?)?(?:[0-9]{2,4}[- \u{A0}])?[0-9]{2,4}[- \u{A0}])[0-9]{3,4}[- \u{A0}]?[0-9]{3,5}|(?:(?:\+\+?)?[0-9]{2,4}\.)?[0-9]{2,4}\.[0-9]{3,4}\.[0-9]{3,5}",
        ),
        // Quotes, brackets, emoticons.
        fixed(All, Quotes, r#""|(?i-u:&quot;)"#),
        fixed(All, Entity("<"), "<|(?i-u:&lt;)"),
        fixed(All, Entity(">"), ">|(?i-u:&gt;)"),
        fixed(
            LessChars(1),
            Spaced,
            r"[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]][^A-Za-z0-9]",
        ),
        fixed(
            All,
            Spaced,
            r"[-^x=~<>']_[-^x=~<>']|\([-^x=~<>'][_.]?[-^x=~<>']\)|\([\^x=~<>']-[\^x=~<>'`]\)",
        ),
        fixed(All, Bracket, r"[()\[\]{}]"),
        // Dashes and punctuation.
        fixed(All, Dropped, "---?-?"),
        fixed(All, Same, "-+"),
        fixed(
            All,
            Dropped,
            r"\.{3,5}|(?:\.[ \u{A0}]){2,4}\.|[\u{85}\u{2026}]",
        ),
        fixed(All, Same, r"@+|#+|_+|\*+|(?:\\\*){1,3}"),
        fixed(
            All,
            Same,
            r"[,;:\u{3001}]|[?!]+|[.¡¿\u{37E}\u{589}\u{61F}\u{6D4}\u{700}-\u{702}\u{7FA}\u{3002}]|[=/]",
        ),
        // Words with digits, hyphens, ampersands.
        rule(
            LessChars(1),
            Word,
            format!(r"(?:{mixed}|{compound})\.{PAUSE}"),
        ),
        rule(All, Word, format!("{mixed}|{compound}")),
        rule(LessChars(1), Ampersand, format!(r"{ampersands}\.{PAUSE}")),
        fixed(All, Ampersand, ampersands),
        // Others.
        fixed(First(1), Dropped, r"'[A-Za-z][^ \t\n\r\u{A0}]"),
        rule(All, Quotes, clitic.clone()),
        rule(
            All,
            Quotes,
            format!(
                "{APOSTROPHE}|''|[`\u{2018}\u{2019}\u{201A}\u{201B}\u{201C}\u{201D}\u{91}-\u{94}\u{201E}\u{201F}\u{2039}\u{203A}«»]{{1,2}}"
            ),
        ),
        fixed(
            All,
            Dropped,
            r"[ \t\u{A0}\u{2000}-\u{200A}\u{3000}]+|(?i-u:&nbsp;)",
        ),
        fixed(All, Same, r"[cC]\+\+|[cCfF]#"),
        fixed(All, Same, "<<|>>"),
        fixed(All, Same, SYMBOL),
    ]
}

/// Words that contain an apostrophe.
fn apostrophe_words() -> String {
    [
        format!("{APOSTROPHE}n{APOSTROPHE}?"),
        format!("[lLdDjJ]{APOSTROPHE}"),
        format!("(?i-u:dunkin|somethin|ol){APOSTROPHE}"),
        format!("{APOSTROPHE}(?i-u:em|till?|cause)"),
        format!("{APOSTROPHE}[2-9]0[sS]"),
        format!("[A-HJ-XZn]{ANY_APOSTROPHE}{BASIC_LETTER}{{2,}}"),
        format!("[oO]{ANY_APOSTROPHE}[oO]"),
        format!("{BASIC_LETTER}+[aeiouyAEIOUY]{ANY_APOSTROPHE}[aeiouA-Z]{BASIC_LETTER}*"),
        r"(?i-u:cont'd\.?|nor'easter|c'mon|e'er|s'mores|ev'ry|li'l|nat'l)".to_owned(),
    ]
    .join("|")
}

/// File extensions: words with periods and one of these at the end are one token.
const EXTENSIONS: &str = "bat|bmp|c|cgi|class|cpp|dll|docx?|exe|gif|gz|h|html?|jar|java|jpe?g|mov|\
    mp3|pdf|php|pl|png|ppt|ps|py|sql|tar|txt|wav|x|xml|zip";

/// Letters written as entities.
const ENTITY_LETTER: &str = "(?i-u:&[aeiou](?:acute|grave|uml);)";

/// Characters that are single tokens.
const SYMBOL: &str = r"[+%&~^|\\\u{A6}\u{A7}\u{A8}\u{A9}\u{AC}\u{AE}\u{AF}\u{B0}-\u{BA}\u{D7}\u{F7}\u{387}\u{5BE}\u{5C0}\u{5C3}\u{5C6}\u{5F3}\u{5F4}\u{600}-\u{603}\u{606}-\u{60A}\u{60C}\u{614}\u{61B}\u{61E}\u{66A}\u{66D}\u{703}-\u{70D}\u{7F6}-\u{7F8}\u{964}\u{965}\u{E4F}\u{1FBD}\u{2016}\u{2017}\u{2020}-\u{2023}\u{2030}-\u{2038}\u{203B}\u{203E}-\u{2042}\u{2044}\u{207A}-\u{207F}\u{208A}-\u{208E}\u{2100}-\u{214F}\u{2190}-\u{2BFF}\u{3012}\u{30FB}\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF20}\u{FF3B}-\u{FF40}\u{FF5B}-\u{FF65}]";

struct Lexer {
    rules: Vec<Rule>,
    automaton: DFA,
}

// The patterns are constants, and tests compile all of them.
#[expect(clippy::expect_used)]
static LEXER: LazyLock<Lexer> = LazyLock::new(|| {
    let rules = rules();
    let patterns: Vec<&str> = rules.iter().map(|r| r.pattern.as_str()).collect();
    // With `All` every rule reaches its longest match; among equals the first rule is reported.
    let automaton = DFA::builder()
        .configure(
            DFA::config()
                .match_kind(MatchKind::All)
                .cache_capacity(16 << 20),
        )
        .build_many(&patterns)
        .expect("the patterns are valid");
    Lexer { rules, automaton }
});

thread_local! {
    /// Cached states of the automaton.
    static STATES: RefCell<Cache> = RefCell::new(LEXER.automaton.create_cache());
}

/// The rule with the longest match at `offset`, and the end of that match.
pub(super) fn longest_match(text: &str, offset: usize) -> Option<(&'static Rule, usize)> {
    let input = Input::new(text)
        .span(offset..text.len())
        .anchored(Anchored::Yes);
    let result = STATES.with_borrow_mut(|cache| LEXER.automaton.try_search_fwd(cache, &input));
    // The search only fails at quit bytes or if it gives up on its cache, neither of which is configured.
    let longest = result.ok().flatten()?;
    Some((&LEXER.rules[longest.pattern().as_usize()], longest.offset()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_match_applies() {
        let length =
            |text| longest_match(text, 0).map(|(rule, end)| rule.token_length(&text[..end]));
        assert_eq!(length("cannot \n"), Some(3));
        assert_eq!(length("cannots \n"), Some(7));
        assert_eq!(length("don't\n"), Some(2));
        assert_eq!(length("dog's\n"), Some(3));
        assert_eq!(length("1 1/2\n"), Some(5));
        assert!(longest_match("\u{200B}\n", 0).is_none());
    }
}
