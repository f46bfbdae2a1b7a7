//! Distinguishes the CPU from other devices.

/// Whether the device is that of the CPU backend.
pub fn is_cpu(device: &burn::prelude::Device) -> bool {
    cpu_path! {
        use burn::backend::{DispatchDevice, FlexDevice};
        return *device.clone().inner().as_dispatch() == DispatchDevice::Flex(FlexDevice);
    }
    #[allow(unreachable_code, reason = "without the CPU backend alone")]
    {
        let _ = device;
        false
    }
}
