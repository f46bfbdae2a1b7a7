//! The one place that names backends.

use burn::tensor::Device;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::Tensor;

use crate::error::VlpError;

/// For a program of one's own, first thing in `main`: see [`vlp_ops::share_main_thread`].
pub use vlp_ops::share_main_thread;

/// Names of the backends compiled in, best for training first.
pub fn compiled() -> Vec<&'static str> {
    let mut names = vec![];
    if cfg!(feature = "cuda") {
        names.push("cuda");
    }
    if cfg!(feature = "wgpu") {
        names.push("wgpu");
    }
    if cfg!(feature = "flex") {
        names.push("flex");
    }
    names
}

/// The name that `auto` stands for, or the name itself.
pub fn named(name: &str) -> &str {
    match name {
        "auto" => compiled().first().copied().unwrap_or(name),
        _ => name,
    }
}

/// The device called `name`: `flex` (CPU), `flex-bf16` (CPU, products in bf16), `wgpu`, `cuda`, or `auto` for the best
/// one compiled in, never `flex-bf16`.
///
/// `flex` and `flex-bf16` set how the whole process multiplies on the CPU ([`vlp_ops::use_bf16_products`]), until the
/// other one is picked by its name; `auto` and GPUs leave it as it is.
///
/// # Errors
/// [`VlpError::Device`] where the name is unknown, not compiled in, or the machine has no such device.
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
        "flex" | "flex-bf16" => {
            let narrow = name == "flex-bf16";
            match vlp_ops::use_bf16_products(narrow) {
                false if narrow => fail(
                    "this processor has no instructions for bf16 (AVX-512 BF16); use flex".into(),
                ),
                _ => Ok(Device::flex()),
            }
        }
        #[cfg(feature = "wgpu")]
        "wgpu" => probe(name, || Device::wgpu(Default::default())),
        #[cfg(feature = "cuda")]
        "cuda" => probe(name, || Device::cuda(0)),
        #[allow(
            unreachable_patterns,
            reason = "which names are left depends on the features"
        )]
        "flex" | "flex-bf16" | "wgpu" | "cuda" => fail(format!(
            "not compiled in; build with --features {} (here: {})",
            name.trim_end_matches("-bf16"),
            compiled().join(", ")
        )),
        _ => fail("unknown; use auto, flex, flex-bf16, wgpu or cuda".into()),
    }
}

/// Sets up the GPU's runtime, where a `cubecl.toml` does not say otherwise.
///
/// A model's first steps compile hundreds of kernels and try several for each product: minutes. Both are kept for the next
/// process: in `target/environment` of a Cargo project, else in the user's cache folder. And tensors as large as a
/// parameter (gradients, moments, the updated parameter) take each other's places: searching the pages of all others for
/// room is much of the work of handing kernels out.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn set_up() {
    use cubecl::config::memory::PersistentMemory;
    use cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.compilation.cache = true;
    if matches!(config.memory.persistent_memory, PersistentMemory::Enabled) {
        config.memory.persistent_memory = PersistentMemory::SizeMatch;
    }
    // It fails where a device is at work already, with a configuration of its own.
    CubeClRuntimeConfig::try_set(config);
}

/// Runs one operation, since a driver that is missing shows only then, as a panic.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn probe(
    name: &str,
    make: impl FnOnce() -> Device + std::panic::UnwindSafe,
) -> Result<Device, VlpError> {
    set_up();
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let found = std::panic::catch_unwind(|| {
        let device = make();
        let one = Tensor::<1>::ones([1], &device).into_scalar::<f32>();
        (one == 1.0).then_some(device)
    });
    std::panic::set_hook(hook);
    match found {
        Ok(Some(device)) => Ok(device),
        _ => Err(VlpError::Device {
            name: name.into(),
            reason: match name {
                "wgpu" => "no Vulkan, Metal or DirectX driver answers (on Debian: apt install mesa-vulkan-drivers for a software one)".into(),
                _ => "no CUDA driver answers (libcuda.so of the NVIDIA driver)".into(),
            },
        }),
    }
}
