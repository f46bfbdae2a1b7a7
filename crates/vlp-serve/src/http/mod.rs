//! Routes, and what stands before them: checks of the caller, limits, errors as JSON.

mod activity;
mod admission;
mod body;
mod client_stream;
mod guard;
mod hosts;
mod listen;
mod observe;
mod places;
mod post;
mod query;
mod read;
mod respond;
mod router;
mod shared;

pub(crate) use listen::listen;
pub(crate) use router::router;
pub(crate) use shared::Shared;
