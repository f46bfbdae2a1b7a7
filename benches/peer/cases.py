"""What each case loads and runs. `CASES[name](request)` gives a function that runs once and returns its losses or outputs."""
import io
import math
import os

import torch

import weights
from captions import search
from e2e import E2eVlp
from losses import match
from optim import optimizers
from resnet import ResNet
from soho import Dictionary, Soho

R50 = {"depth": 50}
SMALL = {"depth": 10, "width": 24, "small_stem": True, "stages": 3, "frozen_norms": False, "frozen": 0}
E2E = {"backbone": R50, "width": 256, "heads": 8, "ffn": 1024, "encoder": 6, "decoder": 6}
TINY = {"backbone": SMALL, "width": 128, "heads": 4, "ffn": 256, "encoder": 3, "decoder": 2, "modality": True}
PAPER = {"backbone": {"depth": 101}, "width": 768, "heads": 12, "ffn": 3072, "encoder": 12, "pool": "after", "linear": False,
         "gate": False, "dictionary": {"rule": "paper", "decay": 0.99}, "count_padding": False, "itm_bias": True,
         "tied": False, "sample": True, "temperature": 1.0}
RELEASED = {"backbone": {"depth": 18, "frozen_norms": False}, "width": 768, "heads": 12, "ffn": 3072, "encoder": 3,
            "pool": "before", "linear": True, "gate": True, "dictionary": {"rule": "released", "decay": 0.4},
            "count_padding": True, "itm_bias": False, "tied": True, "sample": False, "temperature": 1.0}
SOHO_TINY = {"backbone": SMALL, "width": 128, "heads": 4, "ffn": 256, "encoder": 3, "pool": "none", "linear": True, "gate": True,
             "dictionary": {"rule": "paper", "decay": 0.99, "init_from_data": True, "dead_code_threshold": 0.5},
             "count_padding": False, "itm_bias": True, "tied": False, "sample": True, "temperature": 0.1}

# Weights of the terms in the sum; auxiliary layers (`l1.0`) weigh as the last.
TERMS = {"itm": 1.0, "mlm": 1.0, "mvm": 1.0, "caption": 1.0, "class": 1.0, "l1": 5.0, "giou": 2.0, "attribute": 1.0}
DETR = {"rate": 1e-4, "decay": 1e-4, "epsilon": 1e-8, "decay_all": True, "clip": 0.1, "backbone": {"rate": 1e-5, "decay": 1e-4}}
SOHO = {"rate": 1e-4, "decay": 1e-2, "epsilon": 1e-8, "decay_all": False, "clip": 10.0,
        "backbone": {"rate": 1e-2, "decay": 5e-4, "momentum": 0.9}}
SOHO18 = SOHO | {"epsilon": 1e-6, "decay_all": True, "backbone": {"rate": 1e-2, "decay": 1e-4, "momentum": 0.9}}
SCRATCH = {"rate": 7e-4, "decay": 1e-2, "epsilon": 1e-8, "decay_all": False, "clip": 1.0}


def digest(x):
    """One number of a tensor, which changes with the order of its values: the root of the mean of x_i^2 (1 + cos i)."""
    x = x.detach().double().flatten()
    return float((x.square() * (1 + torch.arange(len(x), dtype=torch.float64, device=x.device).cos())).mean().sqrt())


def batch(file):
    """A batch as the models take it: masks as booleans, ids as integers, objects of each image on their own."""
    b = weights.read(file)
    for name in ("pad_mask", "text_mask", "mask_keep"):
        if name in b:
            b[name] = b[name].bool()
    for name in ("ids", "mlm_labels", "itm_labels", "caption_ids", "image_index", "classes", "attributes", "objects"):
        if name in b:
            b[name] = b[name].long()
    if "objects" in b:
        b["targets"] = [{k: b[k][i, :n] for k in ("classes", "boxes", "attributes") if k in b} for i, n in enumerate(b["objects"])]
    return b


def attribute_distributions(targets, count):
    """Attribute ids (objects, max attributes; -1 for none) to probabilities (objects, count)."""
    for t in targets:
        if count and "attributes" in t:
            ids = t["attributes"]
            counts = torch.zeros(len(ids), count + 1).scatter_add_(1, torch.where(ids < 0, count, ids), torch.ones(ids.shape))[:, :-1]
            t["attributes"] = counts / counts.sum(1, keepdim=True).clamp(min=1)


def compiled(module, b, *methods):
    """PyTorch at its best on a CPU: `channels_last` and `torch.compile`, where the request asks for it."""
    module.to(memory_format=torch.channels_last)
    b["pixels"] = b["pixels"].contiguous(memory_format=torch.channels_last)
    for method in methods:
        setattr(module, method, torch.compile(getattr(module, method)))


def load(kind, size, request):
    tensors = weights.read(request["weights"])
    shape = weights.shapes(tensors)
    module = weights.fill(kind(size, shape), tensors, request["weights"])
    b = batch(request["inputs"])
    if "targets" in b:
        attribute_distributions(b["targets"], shape["attributes"])
    return module, b


def resnet(request):
    module = weights.fill(ResNet(**R50), weights.read(request["weights"]), request["weights"]).eval()
    b = batch(request["inputs"])
    if request.get("compiled"):
        compiled(module, b, "forward")

    def run():
        with torch.inference_mode():
            return {"map": module(b["pixels"])}

    return run


def forward(request):
    module, b = load(E2eVlp, E2E, request)
    module.eval()
    if request.get("compiled"):
        compiled(module, b, "outputs")

    def run():
        with torch.inference_mode():
            return module.outputs(b)

    return run


def pair(kind, size):
    """Whether an image and a text belong together: inference of VQA, NLVR2, SNLI-VE and retrieval, up to the head."""

    def prepare(request):
        module, b = load(kind, size, request)
        module.eval()
        if request.get("compiled"):
            compiled(module, b, "pair")

        def run():
            with torch.inference_mode():
                return module.pair(b)

        return run

    return prepare


def two_step(size, detector_alone=False):
    """The same by regions, or only the regions. Its weights are its own."""

    def prepare(request):
        # Only here: no other case waits for it to load.
        from two_step import TwoStep

        module, b = TwoStep(size).eval(), batch(request["inputs"])
        assert len(b["pixels"]) == 1, "one image at a time"

        def run():
            with torch.inference_mode():
                if detector_alone:
                    features, boxes, proposals = module.regions(b["pixels"])
                    return {"features": features, "boxes": boxes, "regions": len(boxes), "proposals": proposals}
                return module(b)

        return run

    return prepare


def step(kind, size, spec, terms=TERMS):
    def prepare(request):
        module, b = load(kind, size, request)
        module.train()
        if request.get("compiled"):
            compiled(module, b, "losses")
        trained = [p for p in module.parameters() if p.requires_grad]
        module_optimizers = optimizers(module, spec)

        def run():
            for optimizer in module_optimizers:
                optimizer.zero_grad(set_to_none=True)
            losses = module.losses(b)
            total = sum(terms[name.split(".")[0]] * value for name, value in losses.items())
            total.backward()
            norm = torch.nn.utils.clip_grad_norm_(trained, spec["clip"])
            for optimizer in module_optimizers:
                optimizer.step()
            return losses | {"total": total, "grad_norm": norm}

        return run

    return prepare


def caption(beams):
    def prepare(request):
        module, b = load(E2eVlp, E2E, request)
        module.eval()
        if request.get("compiled"):
            # The search itself changes shape at every token; the image is encoded by one compiled graph.
            compiled(module, b, "encode_image")

        def run():
            with torch.inference_mode():
                ids, score = search(module, b, beams, 20, 101)
            return {"score": score.sum(), "ids": ids.sum()}

        return run

    return prepare


def dictionary(request):
    b = weights.read(request["inputs"])
    module = Dictionary(*b["table"].shape, "paper", 0.99).eval()
    module.running_codes.copy_(b["table"])
    if request.get("compiled"):
        module.nearest = torch.compile(module.nearest)

    def run():
        with torch.inference_mode():
            codes = module.nearest(b["features"])
        return {"distance": lambda: (b["features"] - b["table"][codes]).square().sum(1).mean()}

    return run


def matching(request):
    b = batch(request["inputs"])
    return lambda: {"cost": torch.tensor(match(b["logits"], b["boxes"], [
        {"classes": c, "boxes": x} for c, x in zip(b["classes"], b["target_boxes"])])[1])}


def jpeg(request):
    import numpy as np
    from PIL import Image

    data = bytes(weights.read(request["inputs"])["jpeg"].numpy())
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def run():
        image = Image.open(io.BytesIO(data)).convert("RGB").resize((1066, 800), Image.BILINEAR)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div_(255)
        return {"pixels": pixels.sub_(mean).div_(std)}

    return run


def tokenize(batched):
    def prepare(request):
        import tempfile

        os.environ["TOKENIZERS_PARALLELISM"] = "true"
        from transformers import BertTokenizerFast

        b = weights.read(request["inputs"])
        text = lambda name: bytes(b[name].numpy()).decode()
        with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as vocab:
            vocab.write(text("vocab"))
            vocab.flush()
            tokenizer = BertTokenizerFast(vocab.name)
        captions = text("captions").removesuffix("\n").split("\n")

        def run():
            rows = tokenizer(captions)["input_ids"] if batched else [tokenizer(c)["input_ids"] for c in captions]
            return {"tokens": lambda: sum(map(len, rows)), "ids": lambda: sum(map(sum, rows))}

        return run

    return prepare


CASES = {
    "resnet50-384": resnet,
    "resnet50-800x1333": resnet,
    "e2e-384": forward,
    "e2e-800x1333": forward,
    "e2e-pair-800x1333": pair(E2eVlp, E2E),
    "soho-pair-608x1024": pair(Soho, PAPER),
    "e2e-step": step(E2eVlp, E2E, DETR),
    "soho-r101-step": step(Soho, PAPER, SOHO),
    "soho-r18-step": step(Soho, RELEASED, SOHO18),
    "tiny-step": step(E2eVlp, TINY, SCRATCH, TERMS | {"itm": 2.0}),
    "soho-tiny-step": step(Soho, SOHO_TINY, SCRATCH),
    "caption-beam1": caption(1),
    "caption-beam5": caption(5),
    "dictionary": dictionary,
    "matching": matching,
    "jpeg": jpeg,
    "tokenize": tokenize(False),
    "tokenize-batched": tokenize(True),
    "two-step-e2e": two_step(E2E),
    "two-step-soho": two_step(PAPER),
    "regions-e2e": two_step(E2E, detector_alone=True),
    "regions-soho": two_step(PAPER, detector_alone=True),
}


def losses_of(outputs):
    """Numbers as they are, tensors of one value too; of any other tensor its digest. `None` is not finite."""
    value = lambda x: x() if callable(x) else x.detach() if isinstance(x, torch.Tensor) else x
    number = lambda x: float(x) if not isinstance(x, torch.Tensor) or x.numel() == 1 else digest(x)
    numbers = {name: number(value(x)) for name, x in outputs.items()}
    return {name: x if math.isfinite(x) else None for name, x in numbers.items()}
