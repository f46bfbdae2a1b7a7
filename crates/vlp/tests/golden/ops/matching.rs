//! Boxes, assignment, matching and the losses of matched sets.

use burn::prelude::*;
use vlp_assign::Hungarian;
use vlp_objectives::detection::boxes::{giou as giou_of, overlap};
use vlp_objectives::detection::set_loss::SetLossSums;
use vlp_objectives::detection::{
    DetectionOutput, DetectionTarget, MatchCost, Matcher, TargetObject,
};
use vlp_objectives::loss;

use super::Op;
use crate::case::Values;
use crate::e2e::{pair_values, target};

pub(crate) fn giou(op: &mut Op<'_>) -> Result<(), String> {
    let (a, b) = (op.input("a")?.clone(), op.input("b")?.clone());
    let (n, m) = (a.shape[0], b.shape[0]);
    let gather = |rows: &Values, count: usize, index: &dyn Fn(usize) -> usize| -> Tensor<2> {
        let rows: Vec<&[f64]> = rows.rows().collect();
        let values = (0..count)
            .flat_map(|i| rows[index(i)].iter().copied())
            .collect();
        Values {
            shape: vec![count, 4],
            values,
        }
        .float(&op.device)
    };
    let (left, right) = (gather(&a, n * m, &|i| i / m), gather(&b, n * m, &|i| i % m));
    let mut got = Values::of(giou_of(left, right));
    got.shape = vec![n, m];
    op.judge("giou", &got)?;
    let corners = |row: &[f64]| -> [f32; 4] { std::array::from_fn(|k| row[k] as f32) };
    let (mut iou, mut generalized) = (vec![], vec![]);
    for row in a.rows() {
        for column in b.rows() {
            let (plain, hull) = overlap(corners(row), corners(column));
            iou.push(f64::from(plain));
            generalized.push(f64::from(hull));
        }
    }
    let shape = vec![n, m];
    op.judge(
        "iou",
        &Values {
            shape: shape.clone(),
            values: iou,
        },
    )?;
    op.judge_within(
        "giou (matcher)",
        "giou",
        &Values {
            shape,
            values: generalized,
        },
        super::RELATIVE,
    )
}

pub(crate) fn assignment(op: &mut Op<'_>) -> Result<(), String> {
    let cost = op.input("cost")?.values.clone();
    let shapes = op.input("shape")?.clone();
    let [rows, columns, count, totals, unique] =
        ["rows", "cols", "count", "total", "unique"].map(|name| op.output(name));
    let (rows, columns, totals, unique) = (rows?, columns?, totals?, unique?);
    let (mut start, mut first_pair) = (0, 0);
    let mut solver = Hungarian::default();
    for (i, (shape, count)) in shapes.rows().zip(count?.values).enumerate() {
        let (r, c, count) = (shape[0] as usize, shape[1] as usize, count as usize);
        let matrix = &cost[start..start + r * c];
        let pairs = solver.assign(matrix, r, c).map_err(|e| e.to_string())?;
        let total: f64 = pairs.iter().map(|&(r, k)| matrix[r * c + k]).sum();
        let want = totals.values[i];
        op.report.judge(
            &format!("total.{i}"),
            (total - want).abs(),
            super::RELATIVE * want.abs(),
        );
        if unique.values[i] != 0.0 {
            let slice = |values: &Values| values.values[first_pair..first_pair + count].to_vec();
            let values = [slice(&rows), slice(&columns)].concat();
            let want = Values {
                shape: vec![2, count],
                values,
            };
            op.report
                .equal(&format!("pairs.{i}"), &pair_values(&pairs), &want);
        } else if pairs.len() != count {
            op.report.fail(
                &format!("pairs.{i}"),
                &format!("{} of {count}", pairs.len()),
            );
        }
        (start, first_pair) = (start + r * c, first_pair + count);
    }
    Ok(())
}

pub(crate) fn criterion(op: &mut Op<'_>) -> Result<(), String> {
    let layer = |name: &str| -> Result<Tensor<4>, String> {
        Ok(op.input(name)?.float::<3>(&op.device).unsqueeze_dim(0))
    };
    let output = DetectionOutput {
        logits: layer("logits")?,
        attributes: Some(layer("attr_logits")?),
        boxes: layer("boxes")?,
    };
    let images = output.logits.dims()[1];
    let prefix = format!("{}.in.target", op.name);
    let targets: Vec<DetectionTarget> = (0..images)
        .map(|i| target(op.case, &prefix, i))
        .collect::<Result<_, _>>()?;
    let targets: Vec<&DetectionTarget> = targets.iter().collect();
    for (name, attribute) in [("w_attr0", 0.0), ("w_attr1", 1.0)] {
        let cost = &op.attributes["cost"];
        let weight = |name: &str| cost[name].as_f64().ok_or(format!("no cost {name}"));
        let cost = MatchCost::default()
            .with_class(weight("class")?)
            .with_l1(weight("l1")?)
            .with_giou(weight("giou")?)
            .with_attribute(attribute);
        let pairs = Matcher::default()
            .assign(&output, &targets, &cost)
            .map_err(|e| e.to_string())?;
        for (image, pairs) in pairs[0].iter().enumerate() {
            let key = format!("{name}.pairs{image}");
            let want = op.output(&key)?;
            op.report.equal(&key, &pair_values(pairs), &want);
        }
        for (term, mean) in SetLossSums::new(&output, &targets, &pairs, op.number("eos")?).means() {
            let mean = Values::scalar(f64::from(mean.into_scalar::<f32>()));
            op.judge(
                &format!("{name}.{}", term.replace("attribute", "attr")),
                &mean,
            )?;
        }
    }
    Ok(())
}

pub(crate) fn cross_entropy(op: &mut Op<'_>) -> Result<(), String> {
    let (logits, labels) = (
        op.input("logits")?.clone(),
        op.input("labels")?.values.clone(),
    );
    let ignored = op.number("ignore_index")?;
    let labeled: Vec<usize> = (0..labels.len())
        .filter(|&i| labels[i] != ignored)
        .collect();
    let classes = logits.shape[1];
    let rows: Vec<&[f64]> = logits.rows().collect();
    let values = labeled
        .iter()
        .flat_map(|&i| rows[i].iter().copied())
        .collect();
    let chosen = Values {
        shape: vec![labeled.len(), classes],
        values,
    }
    .float::<2>(&op.device);
    let ids: Vec<i32> = labeled.iter().map(|&i| labels[i] as i32).collect();
    let scalar = |t: Tensor<1>| Values::scalar(f64::from(t.into_scalar::<f32>()));
    op.judge("plain", &scalar(loss::cross_entropy(chosen.clone(), &ids)))?;
    op.judge("empty", &scalar(loss::cross_entropy(chosen.clone(), &[])))?;
    // The weighted mean is the class loss of a set: the last class is no-object, the others have weight 1.
    let weights = op.input("weight")?.values.clone();
    if weights[..classes - 1].iter().any(|&w| w != 1.0) {
        return Err("only the last class may have another weight".into());
    }
    let no_object = classes as i32 - 1;
    let queries = labeled.len();
    let object_ids = ids.iter().enumerate().filter(|(_, id)| **id != no_object);
    let mut objects = vec![];
    let mut pairs = vec![];
    for (query, &class) in object_ids {
        pairs.push((query, objects.len()));
        let bbox = [0.5, 0.5, 0.2, 0.2];
        objects.push(TargetObject {
            class: class as usize,
            bbox,
            attributes: vec![],
        });
    }
    let target = DetectionTarget {
        vocabulary: Some(0),
        objects,
        dropped: 0,
        ground_truth: vec![],
        image_id: 0,
        size: (1, 1),
    };
    let output = DetectionOutput {
        logits: chosen.reshape([1, 1, queries, classes]),
        attributes: None,
        boxes: Tensor::full([1, 1, queries, 4], 0.5, &op.device),
    };
    let sums = SetLossSums::new(&output, &[&target], &[vec![pairs]], weights[classes - 1]);
    let [(_, class), ..] = sums.means();
    op.judge("weighted", &scalar(class))
}
