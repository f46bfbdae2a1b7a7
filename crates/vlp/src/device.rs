//! Devices and process setup; the only module that names backends.

use burn::tensor::Device;
#[cfg(feature = "gpu")]
use burn::tensor::Tensor;

use crate::error::VlpError;

/// Sets up the process: allocator settings, SIMD level and thread pool. Call it first in `main`, before any operation.
///
/// # Errors
/// [`VlpError::Config`] if the environment variable `VLP_SIMD` is not a SIMD level.
pub fn init_process() -> Result<(), VlpError> {
    vlp_ops::tune_allocator();
    vlp_ops::init_simd().map_err(|e| VlpError::Config(e.to_string()))?;
    vlp_ops::join_thread_pool();
    Ok(())
}

/// [`init_process`] without the thread pool, for programs that set up their own.
pub use vlp_ops::{simd_level, tune_allocator};

/// A warning if the processor has a better instruction set than the CPU kernels use.
pub(crate) fn simd_warning() -> Option<String> {
    let (level, detected) = (vlp_ops::simd_level(), vlp_ops::detected_simd_level());
    (level < detected).then(|| {
        format!("warning: the CPU kernels use {level} because of VLP_SIMD; this processor has {detected}")
    })
}

/// Names of the backends compiled in, best for training first.
pub fn compiled() -> Vec<&'static str> {
    let mut names = vec![];
    if cfg!(feature = "cuda-unfused") {
        names.push("cuda");
    }
    if cfg!(feature = "wgpu-untuned") {
        names.push("wgpu");
    }
    if cfg!(feature = "flex") {
        names.push("flex");
    }
    names
}

/// The device name that `auto` stands for, or `name` itself.
pub fn resolve_name(name: &str) -> &str {
    match name {
        "auto" => compiled().first().copied().unwrap_or(name),
        _ => name,
    }
}

/// The device called `name`: `flex` (CPU), `wgpu`, `cuda`, or `auto` for the best one compiled in.
///
/// # Errors
/// [`VlpError::Device`] if the name is unknown, the backend is not compiled in, or the machine has no such device.
pub fn pick(name: &str) -> Result<Device, VlpError> {
    let fail = |reason: String| {
        Err(VlpError::Device {
            name: name.into(),
            reason,
        })
    };
    match name {
        "auto" => match compiled().first() {
            #[cfg(feature = "flex")]
            Some(&"flex") => Ok(Device::flex()),
            Some(best) => pick(best),
            None => fail("no backend is compiled in; build with --features flex".into()),
        },
        #[cfg(feature = "flex")]
        "flex" => Ok(Device::flex()),
        #[cfg(feature = "wgpu-untuned")]
        "wgpu" => probe(name, || Device::wgpu(Default::default())),
        #[cfg(feature = "cuda-unfused")]
        "cuda" => probe(name, || Device::cuda(0)),
        #[allow(
            unreachable_patterns,
            reason = "the remaining names depend on the features"
        )]
        "flex" | "wgpu" | "cuda" => fail(format!(
            "not compiled in; build with --features {name} (this build has: {})",
            compiled().join(", ")
        )),
        _ => fail("unknown; use auto, flex, wgpu or cuda".into()),
    }
}

/// As [`pick`]; if there are several GPUs, the one whose index is the local rank of this process.
///
/// # Errors
/// As [`pick`].
pub fn pick_local(name: &str, local_rank: usize) -> Result<Device, VlpError> {
    #[cfg(feature = "cuda-unfused")]
    if local_rank > 0 && resolve_name(name) == "cuda" {
        return probe("cuda", move || Device::cuda(local_rank));
    }
    let _ = local_rank;
    pick(name)
}

/// Number of threads that the operations of this process run on.
pub(crate) fn threads() -> usize {
    vlp_ops::thread_count()
}

/// Configures the GPU runtime; values of a `cubecl.toml` are kept.
///
/// The first steps of a model compile hundreds of kernels and autotune matmuls, which takes minutes; both are cached
/// for the next process, in `target/environment` of a Cargo project, otherwise in the user's cache folder. Tensors of
/// the size of a parameter (gradients, moments, updated parameters) have their own memory pools, which shortens the
/// search for free memory.
#[cfg(feature = "gpu")]
fn configure_runtime() {
    use cubecl::config::memory::PersistentMemory;
    use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.compilation.cache = true;
    if matches!(config.memory.persistent_memory, PersistentMemory::Enabled) {
        config.memory.persistent_memory = PersistentMemory::SizeMatch;
    }
    // This fails if a device is already in use, with its own configuration.
    CubeClRuntimeConfig::try_set(config);
}

/// Runs one operation on a new device, because a missing driver is only detected then, by a panic.
#[cfg(feature = "gpu")]
fn probe(
    name: &str,
    create: impl FnOnce() -> Device + std::panic::UnwindSafe,
) -> Result<Device, VlpError> {
    configure_runtime();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let device = std::panic::catch_unwind(|| {
        let device = create();
        let one = Tensor::<1>::ones([1], &device).into_scalar::<f32>();
        (one == 1.0).then_some(device)
    });
    std::panic::set_hook(hook);
    match device {
        Ok(Some(device)) => Ok(device),
        _ => Err(VlpError::Device {
            name: name.into(),
            reason: match name {
                "wgpu" => "no Vulkan, Metal or DirectX driver responds (on Debian: apt install mesa-vulkan-drivers for a software one)".into(),
                _ => "no CUDA driver responds (libcuda.so of the NVIDIA driver)".into(),
            },
        }),
    }
}
