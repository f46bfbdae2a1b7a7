//! Abbreviations that keep their period.

/// Names and titles in any case; a capital letter follows them.
pub(super) const TITLES: &str = "adj|adm|adv|alex|assoc|asst|attys?|ave|brig|capt|cf|cie|cmdr|col|\
    comdr|cpl|dept|det|drs?|elec|ens|ft|gen|govs?|hon|insp|invt|jos|lieut|lt|maj|messrs|mlle|mme|\
    mrs?|ms|msgr|mt|natl|pfc|ph|pres|profs?|pvt|reps?|rev|sens?|sfc|sgt|spc|ste?|supts?|treas|vs|wm";

/// More titles, not in upper case.
pub(super) const SMALL_TITLES: &str = "(?i-u:m)[ft]g";

/// Words within a sentence, in any case: months, days, states, companies, addresses, others.
pub(super) const WORDS: &str = "jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|mon|tues?|wed|\
    thu(?:rs)?|fri|\
    ala|ariz|calif|colo|conn|ct|dak|fla|ga|ind|kans?|ky|md|mich|minn|mo|mont|neb|nev|okla|penn|\
    tenn|va|vt|wisc?|wyo|\
    assn|bancorp|bhd|bros|cos?|corp|inc|intl|ltd|plc|rt|sys|univ|bldg|blvd|rd|\
    al|(?:ed|ph)\\.d|esq|est|etc|ext|jr|seq|sq|sr|tel";

/// More of [`WORDS`], capitalized only, as the lower-case word is a common one.
pub(super) const CAPITALIZED: &str = "A(?i-u:rk|z)|D(?i-u:el)|I(?i-u:ll)|L(?i-u:a)|\
    M(?i-u:ass|iss)|O(?i-u:re)|P(?i-u:a)|T(?i-u:ex)|W(?i-u:ash)";

/// More of [`WORDS`], not in upper case.
pub(super) const SMALL_WORDS: &str = "(?i-u:p)p?t[ey]s?";

/// Abbreviations only before a number.
pub(super) const BEFORE_NUMBER: &str = "art|ca|figs?|nos?|op|pp|prop";

/// Capitalized words at the start of a sentence: a period between a letter and one of these ends a sentence.
pub(super) const OPENERS: &str = "A(?i-u:bout|ccording|dditionally|fter|n|s|t)?|B(?i-u:ut)|\
    E(?i-u:arlier)|H(?i-u:e|er|ere|owever)|I(?i-u:f|n|t)|L(?i-u:ast)|M(?i-u:any|ore|[rs]\\.)|\
    N(?i-u:ow)|O(?i-u:nce|ne|ther|ur)|S(?i-u:he|ince|o|ome|uch)|\
    T(?i-u:hat|he|heir|hen|here|hese|hey|his)|W(?i-u:e|hat|hen|hile)|Y(?i-u:et|ou)";
