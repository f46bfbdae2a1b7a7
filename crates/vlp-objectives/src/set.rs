//! Several objectives as one module: options, tuples, and structs with named fields.

use std::any::Any;

use burn::module::ModuleDisplay;
use burn::prelude::*;
use vlp_ops::init::InitWeights;
use vlp_transformer::DecoderInput;

use crate::encoder_output::EncoderOutput;
use crate::error::ObjectiveError;
use crate::metrics::Metrics;
use crate::miner::NegativeMiner;
use crate::objective::{Losses, Objective};
use crate::pair_builder::PairBuilder;
use crate::passes::EncoderPasses;
use crate::target_tensors::NamedTargetTensors;
use crate::targets::{Targets, Unit};

/// Losses with the name of their objective.
pub type NamedLosses = Vec<(&'static str, Losses)>;

/// Diagnostics with the name of their objective.
pub type NamedDiagnostics = Vec<(&'static str, Vec<(&'static str, f64)>)>;

/// A module made of objectives. Every [`Objective`] in an `Option`, every tuple of sets, and every
/// struct defined by [`objective_set!`](crate::objective_set) is one.
pub trait ObjectiveSet: Module + ModuleDisplay + InitWeights {
    /// Targets of all members for one text.
    type Targets: Send;

    /// Metrics of all members.
    type Metrics: Metrics;

    /// The member of this type, if the set has one.
    fn member<T: Objective>(&self) -> Option<&T>;

    /// Passes of the encoder that any member reads.
    fn passes(&self) -> EncoderPasses;

    /// Lets each member prepare the example, in order.
    ///
    /// # Errors
    /// The error of the first member that cannot use the example.
    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Self::Targets, ObjectiveError>;

    /// Each member's [`Objective::target_tensors`].
    ///
    /// # Errors
    /// If the targets are not those of a batch that the member can use.
    fn target_tensors(
        &self,
        targets: &Targets<'_, Self::Targets>,
        text_length: usize,
        device: &Device,
    ) -> Result<NamedTargetTensors, ObjectiveError>;

    /// Each member's [`Objective::diagnostics`].
    ///
    /// # Errors
    /// As [`Self::target_tensors`].
    fn diagnostics(
        &self,
        targets: &Targets<'_, Self::Targets>,
    ) -> Result<NamedDiagnostics, ObjectiveError>;

    /// Each member's [`Objective::decoder_input`], with its name.
    ///
    /// # Errors
    /// As [`Self::losses`].
    fn decoder_inputs<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
        targets: &Targets<'_, Self::Targets>,
    ) -> Result<Vec<(&'static str, DecoderInput<'a>)>, ObjectiveError>;

    /// Losses of every member.
    ///
    /// # Errors
    /// [`ObjectiveError::Missing`] if `output` lacks a pass that a member reads, otherwise the error of the first
    /// member that fails.
    fn losses(
        &self,
        output: &EncoderOutput<'_>,
        targets: &Targets<'_, Self::Targets>,
    ) -> Result<NamedLosses, ObjectiveError>;

    /// The first member that chooses negatives of a batch of all pairs, with its targets.
    ///
    /// # Errors
    /// If the targets are not those of a batch of all pairs.
    fn miner<'a>(
        &'a self,
        targets: &Targets<'a, Self::Targets>,
    ) -> Result<Option<Box<dyn NegativeMiner + 'a>>, ObjectiveError>;

    /// Metrics without records: their scores list the names of all metrics.
    fn metrics(&self) -> Self::Metrics;

    /// Records a validation batch in the metrics of every member.
    ///
    /// # Errors
    /// As [`Self::losses`].
    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &Targets<'_, Self::Targets>,
        metrics: &mut Self::Metrics,
    ) -> Result<(), ObjectiveError>;
}

/// An objective that can be switched off.
impl<O: Objective> ObjectiveSet for Option<O> {
    type Targets = Option<O::Target>;
    type Metrics = Option<O::Metrics>;

    fn member<T: Objective>(&self) -> Option<&T> {
        let objective: &dyn Any = self.as_ref()?;
        objective.downcast_ref()
    }

    fn passes(&self) -> EncoderPasses {
        self.as_ref().map(Objective::passes).unwrap_or_default()
    }

    fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Self::Targets, ObjectiveError> {
        // The first text of an image carries the target of the image.
        let prepares = |objective: &&O| objective.unit() != Unit::Image || pair.text_index == 0;
        let objective = self.as_ref().filter(prepares);
        objective
            .map(|objective| objective.prepare(pair))
            .transpose()
    }

    fn target_tensors(
        &self,
        targets: &Targets<'_, Self::Targets>,
        text_length: usize,
        device: &Device,
    ) -> Result<NamedTargetTensors, ObjectiveError> {
        let Some(objective) = self else {
            return Ok(vec![]);
        };
        let targets = targets.per_unit(objective.unit(), O::NAME)?;
        let tensors = objective.target_tensors(&targets, text_length, device);
        Ok(vec![(O::NAME, tensors)])
    }

    fn diagnostics(
        &self,
        targets: &Targets<'_, Self::Targets>,
    ) -> Result<NamedDiagnostics, ObjectiveError> {
        let Some(objective) = self else {
            return Ok(vec![]);
        };
        let targets = targets.per_unit(objective.unit(), O::NAME)?;
        Ok(vec![(O::NAME, objective.diagnostics(&targets))])
    }

    fn decoder_inputs<'a>(
        &self,
        output: &'a EncoderOutput<'_>,
        targets: &Targets<'_, Self::Targets>,
    ) -> Result<Vec<(&'static str, DecoderInput<'a>)>, ObjectiveError> {
        let Some(objective) = self else {
            return Ok(vec![]);
        };
        output.check(O::NAME, objective.passes())?;
        let targets = targets.per_unit(objective.unit(), O::NAME)?;
        let input = objective.decoder_input(output, &targets);
        Ok(input.into_iter().map(|input| (O::NAME, input)).collect())
    }

    fn losses(
        &self,
        output: &EncoderOutput<'_>,
        targets: &Targets<'_, Self::Targets>,
    ) -> Result<NamedLosses, ObjectiveError> {
        let Some(objective) = self else {
            return Ok(vec![]);
        };
        output.check(O::NAME, objective.passes())?;
        let targets = targets.per_unit(objective.unit(), O::NAME)?;
        Ok(vec![(O::NAME, objective.loss(output, &targets)?)])
    }

    fn miner<'a>(
        &'a self,
        targets: &Targets<'a, Self::Targets>,
    ) -> Result<Option<Box<dyn NegativeMiner + 'a>>, ObjectiveError> {
        let Some(objective) = self else {
            return Ok(None);
        };
        let targets = targets.per_unit(objective.unit(), O::NAME)?;
        Ok(objective.miner(targets))
    }

    fn metrics(&self) -> Self::Metrics {
        self.as_ref().map(|_| O::Metrics::default())
    }

    fn evaluate(
        &self,
        output: &EncoderOutput<'_>,
        targets: &Targets<'_, Self::Targets>,
        metrics: &mut Self::Metrics,
    ) -> Result<(), ObjectiveError> {
        let Some(objective) = self else {
            return Ok(());
        };
        output.check(O::NAME, objective.passes())?;
        let targets = targets.per_unit(objective.unit(), O::NAME)?;
        objective.evaluate(output, &targets, metrics.get_or_insert_default())
    }
}

/// Defines a module whose up to 16 named fields are sets, with a struct for their targets and one for their metrics.
/// The fields prepare an example in the order given.
///
/// ```
/// use vlp_objectives::{Itm, Mlm, objective_set};
///
/// objective_set! {
///     /// Two objectives, each of which can be switched off.
///     pub struct Objectives(Targets, Metrics) {
///         /// Image-text matching.
///         pub itm: Option<Itm>,
///         /// Masked language modeling.
///         pub mlm: Option<Mlm>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! objective_set {
    (
        $(#[$meta:meta])* $visibility:vis struct $set:ident($targets:ident, $metrics:ident) {
            $($(#[$field_meta:meta])* $field_visibility:vis $field:ident: $kind:ty),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(burn::module::Module, Debug)]
        $visibility struct $set {
            $($(#[$field_meta])* $field_visibility $field: $kind),+
        }

        $crate::init_weights!($set { $($field),+ });

        #[doc = concat!("Targets of [`", stringify!($set), "`] for one text.")]
        #[derive(Debug)]
        $visibility struct $targets {
            $(#[doc = concat!("Target of `", stringify!($field), "`.")]
            $field_visibility $field: <$kind as $crate::ObjectiveSet>::Targets),+
        }

        #[doc = concat!("Metrics of [`", stringify!($set), "`].")]
        #[derive(Debug)]
        $visibility struct $metrics {
            $(#[doc = concat!("Metrics of `", stringify!($field), "`.")]
            $field_visibility $field: <$kind as $crate::ObjectiveSet>::Metrics),+
        }

        $crate::serialize_as_tuple!($metrics { $($field),+ });

        impl $crate::ObjectiveSet for $set {
            type Targets = $targets;
            type Metrics = $metrics;

            fn prepare(
                &self,
                pair: &mut $crate::PairBuilder<'_>,
            ) -> Result<$targets, $crate::ObjectiveError> {
                Ok($targets { $($field: $crate::ObjectiveSet::prepare(&self.$field, pair)?),+ })
            }

            fn metrics(&self) -> $metrics {
                $metrics { $($field: $crate::ObjectiveSet::metrics(&self.$field)),+ }
            }

            $crate::objective_set!(@set $($field)+);
        }

        impl $crate::Metrics for $metrics {
            $crate::objective_set!(@metrics $($field)+);
        }
    };
    (@set $($field:tt)+) => {
        fn member<T: $crate::Objective>(&self) -> Option<&T> {
            None$(.or_else(|| $crate::ObjectiveSet::member(&self.$field)))+
        }

        fn passes(&self) -> $crate::EncoderPasses {
            $crate::EncoderPasses::NONE$(.union($crate::ObjectiveSet::passes(&self.$field)))+
        }

        fn target_tensors(
            &self,
            targets: &$crate::Targets<'_, Self::Targets>,
            text_length: usize,
            device: &burn::tensor::Device,
        ) -> Result<$crate::target_tensors::NamedTargetTensors, $crate::ObjectiveError> {
            let mut tensors = vec![];
            $(
                let member_targets = targets.project(|target| &target.$field);
                tensors.extend($crate::ObjectiveSet::target_tensors(
                    &self.$field, &member_targets, text_length, device,
                )?);
            )+
            Ok(tensors)
        }

        fn diagnostics(
            &self,
            targets: &$crate::Targets<'_, Self::Targets>,
        ) -> Result<$crate::set::NamedDiagnostics, $crate::ObjectiveError> {
            let mut diagnostics = vec![];
            $(
                let member_targets = targets.project(|target| &target.$field);
                diagnostics.extend($crate::ObjectiveSet::diagnostics(&self.$field, &member_targets)?);
            )+
            Ok(diagnostics)
        }

        fn decoder_inputs<'a>(
            &self,
            output: &'a $crate::EncoderOutput<'_>,
            targets: &$crate::Targets<'_, Self::Targets>,
        ) -> Result<Vec<(&'static str, $crate::DecoderInput<'a>)>, $crate::ObjectiveError> {
            let mut inputs = vec![];
            $(
                let member_targets = targets.project(|target| &target.$field);
                inputs.extend($crate::ObjectiveSet::decoder_inputs(&self.$field, output, &member_targets)?);
            )+
            Ok(inputs)
        }

        fn losses(
            &self,
            output: &$crate::EncoderOutput<'_>,
            targets: &$crate::Targets<'_, Self::Targets>,
        ) -> Result<$crate::NamedLosses, $crate::ObjectiveError> {
            let mut losses = vec![];
            $(
                let member_targets = targets.project(|target| &target.$field);
                losses.extend($crate::ObjectiveSet::losses(&self.$field, output, &member_targets)?);
            )+
            Ok(losses)
        }

        fn miner<'a>(
            &'a self,
            targets: &$crate::Targets<'a, Self::Targets>,
        ) -> Result<Option<Box<dyn $crate::NegativeMiner + 'a>>, $crate::ObjectiveError> {
            $(
                let member_targets = targets.project(|target| &target.$field);
                let miner = $crate::ObjectiveSet::miner(&self.$field, &member_targets)?;
                if miner.is_some() {
                    return Ok(miner);
                }
            )+
            Ok(None)
        }

        fn evaluate(
            &self,
            output: &$crate::EncoderOutput<'_>,
            targets: &$crate::Targets<'_, Self::Targets>,
            metrics: &mut Self::Metrics,
        ) -> Result<(), $crate::ObjectiveError> {
            $(
                let member_targets = targets.project(|target| &target.$field);
                let member_metrics = &mut metrics.$field;
                $crate::ObjectiveSet::evaluate(&self.$field, output, &member_targets, member_metrics)?;
            )+
            Ok(())
        }
    };
    (@metrics $($field:tt)+) => {
        fn merge(&mut self, other: Self) {
            $($crate::Metrics::merge(&mut self.$field, other.$field);)+
        }

        fn scores(
            &self,
            context: &$crate::MetricContext<'_>,
        ) -> Result<Vec<$crate::Score>, $crate::ObjectiveError> {
            let mut scores = vec![];
            $(scores.extend($crate::Metrics::scores(&self.$field, context)?);)+
            Ok(scores)
        }

        fn predictions(
            &self,
            context: &$crate::MetricContext<'_>,
            predictions: &mut $crate::Predictions,
        ) {
            $($crate::Metrics::predictions(&self.$field, context, predictions);)+
        }
    };
}

macro_rules! tuple_set {
    ($($member:ident $index:tt),+) => {
        impl<$($member: ObjectiveSet),+> ObjectiveSet for ($($member,)+) {
            type Targets = ($($member::Targets,)+);
            type Metrics = ($($member::Metrics,)+);

            fn prepare(&self, pair: &mut PairBuilder<'_>) -> Result<Self::Targets, ObjectiveError> {
                Ok(($(self.$index.prepare(pair)?,)+))
            }

            fn metrics(&self) -> Self::Metrics {
                ($(self.$index.metrics(),)+)
            }

            objective_set!(@set $($index)+);
        }

        impl<$($member: Metrics),+> Metrics for ($($member,)+) {
            objective_set!(@metrics $($index)+);
        }
    };
}

tuple_set!(A 0, B 1);
tuple_set!(A 0, B 1, C 2);
tuple_set!(A 0, B 1, C 2, D 3);
tuple_set!(A 0, B 1, C 2, D 3, E 4);
