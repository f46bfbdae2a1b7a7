//! HTML pages of runs and of data.

mod boxes;
mod data_report;
mod earlier_file;
mod page_image;
mod run_report;

pub(crate) use boxes::{name_or_index, top_indices};
pub use data_report::{data_report, sample_cards};
pub use earlier_file::EarlierFile;
pub(crate) use page_image::page_image;
pub use run_report::RunReport;
