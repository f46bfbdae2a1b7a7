"""Key lists (names and shapes) of published models: python keys.py FOLDER"""
import re
import sys
import tempfile
from pathlib import Path

import torch
import torchvision
from safetensors import safe_open
from torch import nn
from transformers import (BertConfig, BertForMaskedLM, BertForPreTraining, BertModel, DetrConfig,
                          DetrForObjectDetection, ResNetConfig)

torch.set_default_device("meta")


def keys(module, prefix="", leave_out=()):
    return {prefix + name: list(value.shape) for name, value in module.state_dict().items()
            if not name.endswith(tuple(leave_out) or ("\0",))}


def frozen(depth):
    """A DETR backbone: torchvision's without classifier, its norms without counters."""
    backbone = getattr(torchvision.models, f"resnet{depth}")()
    del backbone.fc
    return keys(backbone, leave_out=["num_batches_tracked"])


def layer(decodes, d, heads, ffn):
    """`TransformerEncoderLayer` and `TransformerDecoderLayer` of facebookresearch/detr."""
    own = nn.Module()
    own.self_attn = nn.MultiheadAttention(d, heads)
    if decodes:
        own.multihead_attn = nn.MultiheadAttention(d, heads)
    own.linear1, own.linear2 = nn.Linear(d, ffn), nn.Linear(ffn, d)
    for norm in range(1, 4 if decodes else 3):
        setattr(own, f"norm{norm}", nn.LayerNorm(d))
    return own


def facebook(depth, d=256, heads=8, ffn=2048, layers=6, queries=100, classes=91):
    """`DETR` of facebookresearch/detr (models/detr.py, transformer.py, backbone.py)."""
    detr = nn.Module()
    detr.transformer = nn.Module()
    detr.transformer.encoder, detr.transformer.decoder = nn.Module(), nn.Module()
    detr.transformer.encoder.layers = nn.ModuleList(layer(False, d, heads, ffn) for _ in range(layers))
    detr.transformer.decoder.layers = nn.ModuleList(layer(True, d, heads, ffn) for _ in range(layers))
    detr.transformer.decoder.norm = nn.LayerNorm(d)
    detr.class_embed = nn.Linear(d, classes + 1)
    detr.bbox_embed = nn.Module()
    detr.bbox_embed.layers = nn.ModuleList([nn.Linear(d, d), nn.Linear(d, d), nn.Linear(d, 4)])
    detr.query_embed = nn.Embedding(queries, d)
    detr.input_proj = nn.Conv2d(512 if depth < 50 else 2048, d, 1)
    return keys(detr) | {f"backbone.0.body.{name}": shape for name, shape in frozen(depth).items()}


def hugging_face(saved):
    """`DetrForObjectDetection`: names in memory, or as `save_pretrained` writes them."""
    with torch.device("cpu" if saved else "meta"):
        backbone = ResNetConfig(out_features=["stage4"])
        model = DetrForObjectDetection(DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False,
                                                  backbone=None, backbone_config=backbone, num_labels=91))
    if not saved:
        return keys(model)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        with safe_open(Path(folder) / "model.safetensors", "pt") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}


def timm(lists):
    """The released facebook/detr-resnet-50 of the hub: Hugging Face's transformer, timm's backbone."""
    backbone = "model.backbone.conv_encoder.model."
    rest = {name: shape for name, shape in lists.items() if not name.startswith(backbone)}
    return rest | {backbone + name: shape for name, shape in frozen(50).items()}


def soho(d=768, layers=3, codes=2048):
    """The released `soho_res18_fp16_40`: mmcv's modules around torchvision's ResNet-18 and a BERT of 3 layers."""
    backbone = torchvision.models.resnet18()
    del backbone.fc
    bert = BertModel(BertConfig(num_hidden_layers=layers), add_pooling_layer=False)
    norm = lambda name, width: {f"{name}.{leaf}": [width] for leaf in
                                ("weight", "bias", "running_mean", "running_var")} | {f"{name}.num_batches_tracked": []}
    return keys(backbone, "backbone.") | keys(bert, "language.bert.") | {
        "neck.conv.conv.weight": [d, 512, 1, 1], **norm("neck.conv.bn", d),
        "neck.ln.weight": [d], "neck.ln.bias": [d], "neck.mask_emb.weight": [1, d],
        "neck.vq.embed": [codes, d], "neck.vq.cluster_size": [codes], "neck.vq.cluster_sum": [codes],
        "neck.vq.embed_avg": [codes, d],
        "neck.gate_fc.conv.weight": [2, 2 * d, 1, 1], **norm("neck.gate_fc.bn", 2),
        "neck.pos_line.weight": [d, d], "neck.pos_line.bias": [d],
        "head.match_class.weight": [2, d], "mask_l_fc.weight": [30522, d]}


def compact(lists):
    """Lines with runs of equal layers or blocks joined to `[first-last]`."""
    runs = {}
    for name, shape in lists.items():
        at = [m for m in re.finditer(r"(?<=\.)\d+(?=\.)", name) if re.search(r"layers?\d?\.$", name[:m.start()])]
        if not at or "backbone.model.encoder" in name or "model.encoder.stages" in name:
            at = [m for m in re.finditer(r"(?<=layers\.)\d+(?=\.)", name)]
        if at:
            place = at[-1]
            key = (name[:place.start()], name[place.end():], tuple(shape))
            runs.setdefault(key, []).append(int(place.group()))
        else:
            runs[(name, None, tuple(shape))] = None
    for (before, after, shape), numbers in runs.items():
        sides = "x".join(map(str, shape)) or "-"
        if numbers is None:
            yield f"{before} {sides}"
            continue
        start = previous = numbers[0]
        for number in numbers[1:] + [None]:
            if number is not None and number == previous + 1:
                previous = number
                continue
            run = f"[{start}-{previous}]" if previous > start else str(start)
            yield f"{before}{run}{after} {sides}"
            start = previous = number


def main(folder):
    small = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    saved = hugging_face(saved=True)
    lists = {f"resnet{depth}": keys(getattr(torchvision.models, f"resnet{depth}")())
             for depth in (18, 34, 50, 101, 152)}
    lists |= {
        "bert_base_pretraining": keys(BertForPreTraining(BertConfig())),
        "bert_base_mlm": keys(BertForMaskedLM(BertConfig())),
        "bert_6x384": keys(BertModel(small)),
        "detr_r50_facebook": facebook(50), "detr_r101_facebook": facebook(101),
        "detr_r50_hf": saved, "detr_r50_hf_memory": hugging_face(saved=False), "detr_r50_hf_timm": timm(saved),
        "soho_res18": soho(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, found in lists.items():
        (folder / f"{name}.txt").write_text("\n".join(compact(found)) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
