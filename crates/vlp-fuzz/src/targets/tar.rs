use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use tar::Header;
use vlp_data::FileSource;
use vlp_data::shards::{Folder, PackOptions, ShardOptions, open, open_indexed, pack, verify};

use crate::input::Mode;
use crate::limits::limits;
use crate::memory_store::MemoryStore;
use crate::must::{Must, accepted};
use crate::scratch::Scratch;
use crate::source::{Origin, check, check_equal};

const BLOCK: usize = 512;

/// A shard: as it is (`0`), or with the right checksum in every header and an end mark (`1`). With the flag, what was read is
/// packed and read again.
pub fn tar(scratch: &Scratch, input: &[u8]) {
    let Some((mode, bytes)) = Mode::split(input) else {
        return;
    };
    let mut bytes = bytes.to_vec();
    if mode.below(2) == 1 {
        repair(&mut bytes);
    }
    let store = MemoryStore(BTreeMap::from([("a.tar".to_owned(), bytes)]));
    let options = ShardOptions::default().with_limits(limits());
    let Some(opened) = accepted(open(Arc::new(store), options)) else {
        return;
    };
    let _ = opened.source.report().to_string();
    check(&opened.source, Origin::Reader);
    if mode.flag() {
        check_packed(scratch, &opened.source);
    }
}

/// Fills in the checksum of every header, and appends the end mark.
fn repair(bytes: &mut Vec<u8>) {
    let mut offset = 0;
    while let Some(block) = bytes
        .get_mut(offset..)
        .and_then(<[u8]>::first_chunk_mut::<BLOCK>)
    {
        if block.iter().all(|byte| *byte == 0) {
            break;
        }
        let mut header = Header::from_byte_slice(block).clone();
        header.set_cksum();
        *block = *header.as_bytes();
        let size = header.entry_size().unwrap_or_default() as usize;
        let size = size.checked_next_multiple_of(BLOCK).unwrap_or(usize::MAX);
        offset = offset.saturating_add(BLOCK).saturating_add(size);
    }
    bytes.resize(bytes.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
}

/// Samples that can all be packed are equal afterwards, also by the indices of the shards.
fn check_packed(scratch: &Scratch, source: &FileSource) {
    let folder = scratch.vacant("packed");
    let one = NonZeroUsize::MIN;
    let options = PackOptions::default()
        .with_threads(one)
        .with_shard_samples(2);
    let Some(report) = accepted(pack(source, &folder, &options)) else {
        return;
    };
    let store = || Arc::new(Folder::open(&folder).must("the packed set"));
    verify(store().as_ref()).must("checksums of a packed set");
    let options = ShardOptions::default()
        .with_limits(limits())
        .with_threads(one);
    let reread = open(store(), options.clone()).must("a packed set").source;
    check(&reread, Origin::Reader);
    if report.skipped == 0 {
        check_equal(source, &reread);
    }
    if let Some(indexed) = open_indexed(store(), &options).must("a packed set with indices") {
        check_equal(&reread, &indexed);
    }
}
