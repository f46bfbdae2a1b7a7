//! What a server does wrong.

use crate::processes::random::Random;

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The connection is closed without an answer.
    Closed,
    /// The answer ends within its head.
    HeadCut,
    /// The answer ends after half of its body.
    BodyCut,
    /// Nothing comes.
    Stall,
    /// Nothing comes after half of the body.
    BodyStall,
    /// A byte comes every 50 ms.
    Drip,
    /// `Content-Length` is larger than the body.
    LengthTooLarge,
    /// `Content-Length` is smaller than the body, which is complete.
    LengthTooSmall,
    /// A status code, with `Retry-After` if true.
    Status(u16, bool),
    /// 206 with the first half of what was asked for.
    HalfRange,
    /// 200 with the whole object.
    WholeObject,
    /// `Content-Range` of other bytes than those asked for.
    OtherRange,
    /// `Content-Range` of an object of another length.
    OtherSize,
    /// A redirection to a place where the object is.
    Redirect,
    /// A redirection to itself.
    RedirectLoop,
    /// Objects that were asked for before have other bytes, and another ETag.
    OtherBytes,
    /// Objects that were asked for before have further bytes, and another ETag.
    MoreBytes,
    /// No HTTP.
    Garbage,
    /// Answers without ETag and time.
    NoVersion,
}

const KINDS: [Kind; 26] = [
    Kind::Closed,
    Kind::HeadCut,
    Kind::BodyCut,
    Kind::Stall,
    Kind::BodyStall,
    Kind::Drip,
    Kind::LengthTooLarge,
    Kind::LengthTooSmall,
    Kind::Status(500, false),
    Kind::Status(502, false),
    Kind::Status(503, false),
    Kind::Status(503, true),
    Kind::Status(429, false),
    Kind::Status(429, true),
    Kind::Status(403, false),
    Kind::Status(404, false),
    Kind::Status(416, false),
    Kind::HalfRange,
    Kind::WholeObject,
    Kind::OtherRange,
    Kind::OtherSize,
    Kind::Redirect,
    Kind::RedirectLoop,
    Kind::OtherBytes,
    Kind::MoreBytes,
    Kind::Garbage,
];

/// The kinds, and the one that is only for servers without S3's promises.
pub(super) fn kinds() -> impl Iterator<Item = Kind> {
    KINDS.into_iter().chain([Kind::NoVersion])
}

/// What must come of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The result of a run without trouble.
    Result,
    /// An error.
    Error,
    /// One of both.
    Either,
}

/// Wrong answers to some requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    /// The first request that is answered so, from 0.
    pub(super) first: usize,
    /// How many are; `usize::MAX` for all that follow.
    pub(super) count: usize,
}

impl Trouble {
    /// Of a run with so many requests.
    pub(super) fn draw(kind: Kind, requests: usize, random: &mut Random) -> Self {
        let first = random.below(requests);
        let is_for_good = matches!(kind, Kind::OtherBytes | Kind::MoreBytes | Kind::NoVersion);
        let count = match random.below(3) {
            _ if is_for_good => usize::MAX,
            0 => 1,
            1 => 3,
            _ => usize::MAX,
        };
        Self { kind, first, count }
    }

    pub(super) fn is_met_by(&self, request: usize) -> bool {
        (self.first..self.first.saturating_add(self.count)).contains(&request)
    }

    /// For how long a store is to be waited for, in seconds. What must end well may take its time on a busy machine; a
    /// stalled request is repeated after a sixth of it.
    pub(super) fn patience(&self) -> &'static str {
        match (self.outcome(true), self.kind) {
            (Outcome::Result, Kind::Stall | Kind::BodyStall | Kind::Drip) => "12",
            (Outcome::Result, _) => "60",
            _ => "3",
        }
    }

    /// `had_body`: whether all answers that went wrong were to have a body that can be read again in parts.
    pub(super) fn outcome(&self, had_body: bool) -> Outcome {
        let is_for_good = self.count == usize::MAX;
        match self.kind {
            Kind::Redirect => Outcome::Result,
            Kind::Closed | Kind::HeadCut | Kind::Stall | Kind::Status(429 | 500.., _) => {
                match is_for_good {
                    true => Outcome::Error,
                    false => Outcome::Result,
                }
            }
            Kind::BodyCut
            | Kind::BodyStall
            | Kind::Drip
            | Kind::LengthTooLarge
            | Kind::LengthTooSmall
                if had_body && !is_for_good =>
            {
                Outcome::Result
            }
            Kind::Garbage | Kind::Status(..) if is_for_good => Outcome::Error,
            _ => Outcome::Either,
        }
    }

    pub(super) fn describe(&self) -> String {
        let first = self.first;
        let end = match self.count {
            usize::MAX => "on".to_owned(),
            count => format!("to {}", first + count - 1),
        };
        format!("{:?}, request {first} {end}", self.kind)
    }
}
