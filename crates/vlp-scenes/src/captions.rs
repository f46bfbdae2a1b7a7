use rand::RngExt;
use vlp_data::rng;

use crate::{
    Claim, Phrase, Relation, Scene, SceneObject, Scenes, ScenesConfig, Side, wording::Wording,
};

/// A caption with its claims; it is true of every scene in which all claims hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caption {
    /// The text, lower case, without a full stop.
    pub text: String,
    /// Its claims.
    pub claims: Vec<Claim>,
    wording: Wording,
}

impl Caption {
    fn new(wording: Wording, claims: Vec<Claim>) -> Option<Self> {
        Some(Self {
            text: wording.text(&claims)?,
            claims,
            wording,
        })
    }

    /// Whether the caption is true of a scene.
    pub fn holds(&self, scene: &Scene) -> bool {
        self.claims.iter().all(|claim| claim.holds(scene))
    }

    /// Captions of the same wording with one property, number, side or direction changed.
    pub fn variants(&self) -> Vec<Self> {
        let replaced = |index: usize, claim: Claim| {
            let mut claims = self.claims.clone();
            claims[index] = claim;
            Self::new(self.wording, claims)
        };
        (0..self.claims.len())
            .flat_map(|index| {
                let variants = self.claims[index].variants().into_iter();
                variants.filter_map(move |claim| replaced(index, claim))
            })
            .collect()
    }
}

impl Scenes {
    /// The five captions of a scene, of different wording.
    pub fn scene_captions(&self, scene: &Scene) -> Vec<Caption> {
        let mut rng = rng(scene.seed, 0, 0, "captions");
        let choices = self.caption_choices(scene).into_iter();
        choices
            .filter(|choices| !choices.is_empty())
            .map(|mut choices| choices.swap_remove(rng.random_range(0..choices.len())))
            .collect()
    }

    /// For each of the five captions of a scene, the equally likely candidates it is sampled from.
    pub fn caption_choices(&self, scene: &Scene) -> Vec<Vec<Caption>> {
        let config = &self.config;
        CaptionBuilder { config, scene }.choices()
    }
}

#[derive(Clone, Copy)]
enum Property {
    Size,
    Texture,
    Color,
    Shape,
}

struct CaptionBuilder<'a> {
    config: &'a ScenesConfig,
    scene: &'a Scene,
}

impl CaptionBuilder<'_> {
    /// Names the given properties of an object, except those for which the configuration allows a single value.
    fn phrase(&self, object: &SceneObject, properties: &[Property]) -> Phrase {
        let mut phrase = Phrase::default();
        for property in properties {
            match property {
                Property::Size if self.config.sizes.len() > 1 => phrase.size = Some(object.size),
                Property::Texture if self.config.textures.len() > 1 => {
                    phrase.texture = Some(object.texture);
                }
                Property::Color if self.config.colors.len() > 1 => {
                    phrase.color = Some(object.color);
                }
                Property::Shape => phrase.shape = Some(object.shape),
                _ => {}
            }
        }
        phrase
    }

    fn outermost(&self, side: Side, properties: &[Property]) -> Option<Claim> {
        let object = side.outermost(self.scene)?;
        Some(Claim::Outermost(side, self.phrase(object, properties)))
    }

    /// Color and shape of the leftmost and the rightmost object.
    fn left_and_right(&self) -> Option<Caption> {
        let properties = [Property::Color, Property::Shape];
        let claims = vec![
            self.outermost(Side::Left, &properties)?,
            self.outermost(Side::Right, &properties)?,
        ];
        Caption::new(Wording::LeftAndRight, claims)
    }

    /// Texture and color of the topmost and the lowest object.
    fn top_and_bottom(&self) -> Option<Caption> {
        let varied = self.config.textures.len() > 1 || self.config.colors.len() > 1;
        let properties: &[Property] = if varied {
            &[Property::Texture, Property::Color]
        } else {
            &[Property::Shape]
        };
        let claims = vec![
            self.outermost(Side::Top, properties)?,
            self.outermost(Side::Bottom, properties)?,
        ];
        Caption::new(Wording::TopAndBottom, claims)
    }

    /// The number of objects and all properties of the outermost one on a side.
    fn count_and_outermost(&self, side: Side) -> Option<Caption> {
        use Property::{Color, Shape, Size, Texture};
        let count = Claim::Count(self.scene.objects.len(), Phrase::default());
        let outermost = self.outermost(side, &[Size, Texture, Color, Shape])?;
        Caption::new(Wording::CountAndOutermost, vec![count, outermost])
    }

    /// The topmost (or the lowest) object and its nearest neighbor, preferably one in a clear direction.
    fn related(&self, side: Side) -> Option<Caption> {
        let outermost = side.outermost(self.scene)?;
        let distance = |neighbor: &&SceneObject| {
            let distance = (neighbor.x - outermost.x).hypot(neighbor.y - outermost.y);
            if Relation::is_clear(outermost, neighbor) {
                distance
            } else {
                distance + 2.0
            }
        };
        let objects = self.scene.objects.iter();
        let neighbor = objects
            .filter(|&other| !std::ptr::eq(other, outermost))
            .min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        let properties = [Property::Size, Property::Color, Property::Shape];
        let claim = Claim::Related(
            self.phrase(outermost, &properties),
            Relation::between(outermost, neighbor),
            self.phrase(neighbor, &properties),
        );
        Caption::new(Wording::Related, vec![claim])
    }

    /// The leftmost object with a unique color, else the leftmost with a unique shape.
    fn only(&self) -> Option<Caption> {
        use Property::{Color, Shape, Size, Texture};
        let caption =
            |subject, predicate| Caption::new(Wording::Only, vec![Claim::Only(subject, predicate)]);
        if let [object] = self.scene.objects.as_slice() {
            let predicate = self.phrase(object, &[Size, Texture, Shape]);
            return caption(Phrase::default(), predicate);
        }
        let mut objects: Vec<&SceneObject> = self.scene.objects.iter().collect();
        objects.sort_by(|a, b| a.x.total_cmp(&b.x));
        let by_color = objects.iter().map(|object| {
            let subject = self.phrase(object, &[Color]);
            (subject, self.phrase(object, &[Size, Texture, Shape]))
        });
        let by_shape = objects.iter().map(|object| {
            let subject = self.phrase(object, &[Shape]);
            (subject, self.phrase(object, &[Size, Texture, Color]))
        });
        let (subject, predicate) = by_color
            .chain(by_shape)
            .find(|(subject, _)| self.scene.has_unique(subject))?;
        caption(subject, predicate)
    }

    /// A caption of a scene with a single object.
    fn single(&self, wording: Wording, properties: &[Property]) -> Option<Caption> {
        let phrase = self.phrase(self.scene.objects.first()?, properties);
        let count = Claim::Count(1, Phrase::default());
        Caption::new(wording, vec![count, Claim::Exists(phrase)])
    }

    fn choices(&self) -> Vec<Vec<Caption>> {
        use Property::{Color, Shape, Size, Texture};
        let choices: [Vec<Option<Caption>>; 5] = if self.scene.objects.len() == 1 {
            [
                vec![self.single(Wording::Single, &[Texture, Color, Shape])],
                vec![self.single(Wording::OnlyOne, &[Size, Color, Shape])],
                vec![self.single(Wording::CountAndIt, &[Size, Texture, Color, Shape])],
                vec![self.single(Wording::JustOne, &[Size, Texture, Shape])],
                vec![self.only()],
            ]
        } else {
            [
                vec![self.left_and_right()],
                vec![self.top_and_bottom()],
                vec![self.count_and_outermost(Side::Left)],
                vec![self.related(Side::Top), self.related(Side::Bottom)],
                vec![
                    self.only()
                        .or_else(|| self.count_and_outermost(Side::Right)),
                ],
            ]
        };
        choices
            .into_iter()
            .map(|captions| captions.into_iter().flatten().collect())
            .collect()
    }
}
