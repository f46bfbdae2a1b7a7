//! Several objectives as one module: options, tuples, and structs with a named field each.

use burn::module::ModuleDisplay;
use burn::prelude::*;

use crate::draft::Draft;
use crate::encoded::{Encoded, Needs};
use crate::error::ObjectiveError;
use crate::objective::{Losses, Objective};
use crate::tally::Tally;

/// Losses with the name of their objective.
pub type NamedLosses = Vec<(&'static str, Losses)>;

/// A module made of objectives. Every [`Objective`] in an `Option`, every tuple of sets, and every
/// struct given to [`objective_set!`](crate::objective_set) is one.
pub trait ObjectiveSet: Module + ModuleDisplay {
    /// Targets of all members for one example.
    type Targets: Clone + Send;

    /// Passes of the encoder that any member reads.
    fn needs(&self) -> Needs;

    /// Lets each member prepare the example, in order.
    fn prepare(&self, draft: &mut Draft<'_>) -> Result<Self::Targets, ObjectiveError>;

    /// Losses of every member.
    fn losses(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Targets],
    ) -> Result<NamedLosses, ObjectiveError>;

    /// Whether any member chooses the pairs of a batch of all pairs.
    fn mines(&self) -> bool;

    /// The false pairs that any member finds worth the joint pass.
    fn hard_pairs(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Targets],
    ) -> Result<Vec<(usize, usize)>, ObjectiveError>;

    /// Adds a held-out batch to the scores of every member.
    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Targets],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError>;
}

/// Objectives that read the image-only pass alone have a target for each picture, the others for each text.
impl<O: Objective> ObjectiveSet for Option<O> {
    type Targets = Option<O::Target>;

    fn needs(&self) -> Needs {
        self.as_ref().map(Objective::needs).unwrap_or_default()
    }

    fn prepare(&self, draft: &mut Draft<'_>) -> Result<Self::Targets, ObjectiveError> {
        let own = self
            .as_ref()
            .filter(|o| draft.number == 0 || o.needs().joint);
        own.map(|o| o.prepare(draft)).transpose()
    }

    fn losses(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Targets],
    ) -> Result<NamedLosses, ObjectiveError> {
        let Some(objective) = self else {
            return Ok(vec![]);
        };
        let targets: Vec<O::Target> = targets.iter().flatten().cloned().collect();
        Ok(vec![(objective.name(), objective.loss(encoded, &targets)?)])
    }

    fn mines(&self) -> bool {
        self.as_ref().is_some_and(Objective::mines)
    }

    fn hard_pairs(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Targets],
    ) -> Result<Vec<(usize, usize)>, ObjectiveError> {
        let Some(objective) = self.as_ref().filter(|own| own.mines()) else {
            return Ok(vec![]);
        };
        let targets: Vec<O::Target> = targets.iter().flatten().cloned().collect();
        objective.hard_pairs(encoded, &targets)
    }

    fn evaluate(
        &self,
        encoded: &Encoded<'_>,
        targets: &[Self::Targets],
        tally: &mut Tally,
    ) -> Result<(), ObjectiveError> {
        let Some(objective) = self else { return Ok(()) };
        let targets: Vec<O::Target> = targets.iter().flatten().cloned().collect();
        objective.evaluate(encoded, &targets, tally)
    }
}

/// Implements [`ObjectiveSet`] for a struct whose named fields are sets themselves, with a struct of
/// the same fields for their targets. The fields prepare an example in the order given.
///
/// ```ignore
/// objective_set!(MyObjectives, MyTargets { itm: Option<Itm>, mlm: Option<Mlm> });
/// ```
#[macro_export]
macro_rules! objective_set {
    ($set:ident, $targets:ident { $($field:ident: $kind:ty),+ $(,)? }) => {
        #[doc = concat!("What rides beside an example for [`", stringify!($set), "`].")]
        #[derive(Clone)]
        pub struct $targets {
            $(#[doc = concat!("Target of `", stringify!($field), "`.")]
            pub $field: <$kind as $crate::ObjectiveSet>::Targets),+
        }

        impl $crate::ObjectiveSet for $set {
            type Targets = $targets;

            fn prepare(&self, draft: &mut $crate::Draft<'_>) -> Result<$targets, $crate::ObjectiveError> {
                Ok($targets { $($field: $crate::ObjectiveSet::prepare(&self.$field, draft)?),+ })
            }

            $crate::objective_set!(@members $($field)+);
        }
    };
    (@members $($field:tt)+) => {
        fn needs(&self) -> $crate::Needs {
            $crate::Needs::default()$(.or($crate::ObjectiveSet::needs(&self.$field)))+
        }

        fn losses(
            &self,
            encoded: &$crate::Encoded<'_>,
            targets: &[Self::Targets],
        ) -> Result<$crate::NamedLosses, $crate::ObjectiveError> {
            let mut all = vec![];
            $(
                let own: Vec<_> = targets.iter().map(|t| t.$field.clone()).collect();
                all.extend($crate::ObjectiveSet::losses(&self.$field, encoded, &own)?);
            )+
            Ok(all)
        }

        fn mines(&self) -> bool {
            false $(|| $crate::ObjectiveSet::mines(&self.$field))+
        }

        fn hard_pairs(
            &self,
            encoded: &$crate::Encoded<'_>,
            targets: &[Self::Targets],
        ) -> Result<Vec<(usize, usize)>, $crate::ObjectiveError> {
            let mut all = vec![];
            $(
                let own: Vec<_> = targets.iter().map(|t| t.$field.clone()).collect();
                all.extend($crate::ObjectiveSet::hard_pairs(&self.$field, encoded, &own)?);
            )+
            Ok(all)
        }

        fn evaluate(
            &self,
            encoded: &$crate::Encoded<'_>,
            targets: &[Self::Targets],
            tally: &mut $crate::Tally,
        ) -> Result<(), $crate::ObjectiveError> {
            $(
                let own: Vec<_> = targets.iter().map(|t| t.$field.clone()).collect();
                $crate::ObjectiveSet::evaluate(&self.$field, encoded, &own, tally)?;
            )+
            Ok(())
        }
    };
}

macro_rules! tuple_set {
    ($($member:ident $place:tt),+) => {
        impl<$($member: ObjectiveSet),+> ObjectiveSet for ($($member,)+) {
            type Targets = ($($member::Targets,)+);

            fn prepare(&self, draft: &mut Draft<'_>) -> Result<Self::Targets, ObjectiveError> {
                Ok(($(self.$place.prepare(draft)?,)+))
            }

            objective_set!(@members $($place)+);
        }
    };
}

tuple_set!(A 0, B 1);
tuple_set!(A 0, B 1, C 2);
tuple_set!(A 0, B 1, C 2, D 3);
tuple_set!(A 0, B 1, C 2, D 3, E 4);
