"""Matching of queries and objects, and the losses of matched sets (DETR)."""
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment


def cross_entropy(logits, labels):
    """Mean over the rows; 0 without any."""
    return F.cross_entropy(logits, labels) if len(labels) else logits.sum() * 0


def corners(boxes):
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((center - half, center + half), -1)


def giou(a, b):
    """Generalized IoU of boxes given by their corners, broadcast."""
    area = lambda x: (x[..., 2] - x[..., 0]) * (x[..., 3] - x[..., 1])
    side = (torch.min(a[..., 2:], b[..., 2:]) - torch.max(a[..., :2], b[..., :2])).clamp(min=0)
    hull = (torch.max(a[..., 2:], b[..., 2:]) - torch.min(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    shared = side.prod(-1)
    union = area(a) + area(b) - shared
    return shared / union - (hull - union) / hull


@torch.no_grad()
def match(logits, boxes, targets):
    """For each image of (batch, queries, ..) the paired queries and objects, and the least cost."""
    wanted = torch.cat([t["boxes"] for t in targets])
    labels = torch.cat([t["classes"] for t in targets])
    flat = boxes.flatten(0, 1)
    cost = 5 * torch.cdist(flat, wanted, p=1) - logits.flatten(0, 1).softmax(-1)[:, labels]
    cost = cost - 2 * giou(corners(flat)[:, None], corners(wanted)[None])
    cost = cost.view(*logits.shape[:2], -1).cpu()
    pairs, total, device = [], 0.0, boxes.device
    for i, image_cost in enumerate(cost.split([len(t["classes"]) for t in targets], -1)):
        image_cost = image_cost[i].numpy()
        queries, objects = linear_sum_assignment(image_cost)
        total += float(image_cost[queries, objects].sum())
        pairs.append((torch.as_tensor(queries).to(device), torch.as_tensor(objects).to(device)))
    return pairs, total


def set_losses(classes, attributes, boxes, targets):
    """Terms of every decoder layer of (layers, batch, queries, ..): `class.0` is the first, `class` the last."""
    terms, layers = {}, len(classes)
    count = max(sum(len(t["classes"]) for t in targets), 1)
    device = classes.device
    weight = torch.ones(classes.shape[-1], device=device)
    weight[-1] = 0.1
    for layer in range(layers):
        pairs, _ = match(classes[layer], boxes[layer], targets)
        rows = torch.cat([torch.full_like(q, i) for i, (q, _) in enumerate(pairs)])
        at = rows, torch.cat([q for q, _ in pairs])
        pick = lambda key: torch.cat([t[key][o] for t, (_, o) in zip(targets, pairs)])
        labels = torch.full(classes.shape[1:3], classes.shape[-1] - 1, device=device)
        labels[at] = pick("classes")
        predicted, target = boxes[layer][at], pick("boxes")
        end = "" if layer + 1 == layers else f".{layer}"
        terms["class" + end] = F.cross_entropy(classes[layer].flatten(0, 1), labels.flatten(), weight)
        terms["l1" + end] = (predicted - target).abs().sum() / count
        terms["giou" + end] = (1 - giou(corners(predicted), corners(target))).sum() / count
        if attributes is not None:
            distribution = pick("attributes")  # each row sums to 1, or to 0 where nothing is annotated
            log_p = attributes[layer][at].log_softmax(-1)
            labeled = (distribution.sum(-1) > 0).sum().clamp(min=1)
            terms["attribute" + end] = -(log_p * distribution).sum() / labeled
    return terms
