//! Errors of invalid configurations.

use vlp_vision::{Depth, ResNetConfig, VisionError};

#[test]
fn errors_name_key_value_and_hint() {
    let valid = ResNetConfig::new(Depth::R18);
    let cases = [
        (
            valid.clone().with_width(0),
            "backbone.width = 0: use at least 1",
        ),
        (
            valid.clone().with_stages(0),
            "backbone.stages = 0: use 1 to 4",
        ),
        (
            valid.clone().with_stages(5),
            "backbone.stages = 5: use 1 to 4",
        ),
        (
            valid.clone().with_stages(2).with_frozen_stages(4),
            "backbone.frozen_stages = 4: use at most stages + 1",
        ),
        (
            valid.clone().with_dilate_last(true),
            "backbone.depth = 18: dilate_last needs bottlenecks",
        ),
        (
            ResNetConfig::new(Depth::R50)
                .with_dilate_last(true)
                .with_stages(1),
            "backbone.stages = 1: dilate_last needs a stage with a stride",
        ),
    ];
    for (config, start) in cases {
        let message = config.validate().unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
    valid.validate().unwrap();
}

#[test]
fn unknown_depth_error_lists_valid_depths() {
    let error = Depth::try_from(51).unwrap_err();
    assert!(matches!(error, VisionError::Config { key: "depth", .. }));
    assert_eq!(
        error.to_string(),
        "backbone.depth = 51: use 10, 18, 26, 34, 50, 101 or 152"
    );
    for number in [10, 18, 26, 34, 50, 101, 152] {
        assert_eq!(u32::from(Depth::try_from(number).unwrap()), number);
    }
}
