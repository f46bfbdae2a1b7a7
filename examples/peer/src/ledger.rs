//! What a GPU is told to do in one run of a case: kernels by part of the model, uploads and reads.
//!
//! A kernel belongs to the part whose parameters the operations behind it use, or else to the part that made their inputs;
//! its gradient belongs there too.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::fusion::observer::{BlockOperations, FusionObservation, FusionObserver};
use burn::backend::ir::{OperationIr, TensorId, TensorIr};
use burn::backend::{BackendTensor, DispatchTensorKind};
use burn::module::{Module, Param};
use burn::prelude::*;
use cubecl::logging::{LaunchObservation, LaunchObserver};
use vlp_ops::params::{ParamVisitor, visit_params};

/// The part of operations on inputs alone, and on the gradients of all parts.
const OTHER: &str = "other";
/// What joins more parts belongs to none.
const MAX_PARTS: usize = 3;

/// Parts of a model by the tensors of their parameters.
pub(crate) type Parts = HashMap<TensorId, Arc<str>>;

/// What was counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Kernels by part.
    pub(crate) parts: BTreeMap<String, usize>,
    /// Blocks by part: what fusion runs at once, one operation or more. Autotune decides how many kernels a block has, so that
    /// their number differs from machine to machine; the number of blocks does not.
    pub(crate) blocks: BTreeMap<String, usize>,
    /// Kernels by name.
    pub(crate) kernels: BTreeMap<String, usize>,
    /// Tensors copied to the device.
    pub(crate) uploads: usize,
    /// Tensors read from the device.
    pub(crate) reads: usize,
}

/// Counts from its creation on.
pub(crate) struct Ledger {
    state: Arc<State>,
    reads: usize,
    _observations: (FusionObservation, LaunchObservation),
}

#[derive(Default)]
struct State(Mutex<Record>);

#[derive(Default)]
struct Record {
    owners: HashMap<TensorId, Owner>,
    /// Operations so far.
    operations: usize,
    /// Part of the operations that run now.
    running: Option<Arc<str>>,
    counts: Counts,
}

#[derive(Clone)]
struct Owner {
    part: Arc<str>,
    /// Whether it is a parameter or made of parameters alone.
    is_parameter: bool,
    /// Which operation made it.
    made_at: usize,
}

impl Ledger {
    /// Starts to count what is done with a model of these parts. Sync the device before.
    pub(crate) fn start(parts: &Parts) -> Self {
        watch_reads();
        let owner = |(&id, part): (&TensorId, &Arc<str>)| {
            let owner = Owner {
                part: part.clone(),
                is_parameter: true,
                made_at: 0,
            };
            (id, owner)
        };
        let record = Record {
            owners: parts.iter().map(owner).collect(),
            ..Record::default()
        };
        let state = Arc::new(State(Mutex::new(record)));
        Self {
            reads: READS.load(Ordering::SeqCst),
            _observations: (
                FusionObservation::new(state.clone()),
                LaunchObservation::new(state.clone()),
            ),
            state,
        }
    }

    /// What was counted since the start or the last call. Sync the device before.
    pub(crate) fn take(&mut self) -> Counts {
        let mut counts = std::mem::take(&mut self.state.record().counts);
        let reads = READS.load(Ordering::SeqCst);
        counts.reads = reads - std::mem::replace(&mut self.reads, reads);
        counts
    }
}

impl State {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// The owner of what an operation makes of these inputs; `None` if none of them has one.
    fn owner<'a>(&self, inputs: impl Iterator<Item = &'a TensorIr>) -> Option<Owner> {
        let owners: Vec<Option<&Owner>> = inputs.map(|ir| self.owners.get(&ir.id)).collect();
        let owned = owners.iter().flatten();
        let parts: BTreeSet<&Arc<str>> = owned.clone().map(|owner| &owner.part).collect();
        if parts.len() > MAX_PARTS {
            return None;
        }
        let part = owned.max_by_key(|owner| (owner.is_parameter, owner.made_at));
        Some(Owner {
            part: part?.part.clone(),
            is_parameter: owners
                .iter()
                .all(|owner| owner.is_some_and(|owner| owner.is_parameter)),
            made_at: self.operations,
        })
    }
}

impl FusionObserver for State {
    fn registered(&self, operation: &OperationIr) {
        let mut record = self.record();
        match operation {
            OperationIr::Drop(_) => return,
            OperationIr::Init(_) => record.counts.uploads += 1,
            _ => {}
        }
        record.operations += 1;
        let Some(owner) = record.owner(operation.inputs()) else {
            return;
        };
        for output in operation.outputs() {
            record.owners.insert(output.id, owner.clone());
        }
    }

    fn block_starts(&self, block: BlockOperations<'_>) {
        let mut record = self.record();
        let owners = block.iter().flat_map(OperationIr::outputs);
        let owners = owners.filter_map(|output| record.owners.get(&output.id));
        let last = owners.max_by_key(|owner| owner.made_at);
        let part = last.map(|owner| owner.part.clone());
        let name = part.as_deref().unwrap_or(OTHER).to_owned();
        *record.counts.blocks.entry(name).or_default() += 1;
        record.running = part;
    }

    fn block_ran(&self) {
        self.record().running = None;
    }
}

impl LaunchObserver for State {
    fn launched(&self, kernel: &'static str) {
        let mut record = self.record();
        let part = record.running.as_deref().unwrap_or(OTHER).to_owned();
        *record.counts.parts.entry(part).or_default() += 1;
        let name = kernel.split('<').next().unwrap_or(kernel);
        let mut names = name.rsplit("::");
        let last = names.next().unwrap_or(name);
        *record.counts.kernels.entry(last.to_owned()).or_default() += 1;
    }
}

/// The parts of a module: its submodules, and for a model with its objectives theirs.
pub(crate) fn parts<M: Module>(module: &M) -> Parts {
    let mut visitor = PartVisitor::default();
    visit_params(module, &mut visitor);
    visitor.0
}

#[derive(Default)]
struct PartVisitor(Parts);

impl ParamVisitor for PartVisitor {
    fn visit<const D: usize>(&mut self, path: &str, param: &Param<Tensor<D>>) {
        let path = ["model.", "objectives."]
            .iter()
            .find_map(|prefix| path.strip_prefix(prefix))
            .unwrap_or(path);
        let part = path.split('.').next().unwrap_or(path);
        let tensor = param.val().without_autodiff().into_dispatch();
        if let DispatchTensorKind::Cube(BackendTensor::Float(tensor)) = &tensor.kind {
            self.0.insert(tensor.id, part.into());
        }
    }
}

static READS: AtomicUsize = AtomicUsize::new(0);

/// Counts the buffers that wgpu is asked to map: it tells this in its log alone.
struct ReadLog;

impl log::Log for ReadLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record<'_>) {
        let message = record.args().to_string();
        if self.enabled(record.metadata()) && message.starts_with("Buffer::map_async") {
            READS.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn flush(&self) {}
}

fn watch_reads() {
    // Fails from the second time on, when it is installed.
    let _ = log::set_logger(&ReadLog);
    log::set_max_level(log::LevelFilter::Trace);
}
