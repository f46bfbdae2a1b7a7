"""Every case once, on random weights and small images, through the worker's own protocol."""
import io
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

import peer
import weights
from captions import search
from cases import E2E, PAPER, R50, RELEASED, SOHO_TINY, TINY, CASES
from e2e import E2eVlp
from resnet import ResNet
from soho import Soho

SHAPE = {"words": 300, "positions": 64, "types": 2, "queries": 12, "classes": 7, "attributes": 5, "codes": 8}


def randomize(module):
    for path, tensor, _ in weights.parameters(module):
        with torch.no_grad():
            if path.endswith(("running_var", "gamma")):
                tensor.uniform_(0.8, 1.2)
            elif path.endswith("running_totals"):
                tensor.zero_()
            elif "dictionary.running_codes" in path:
                tensor.normal_()
            else:
                tensor.normal_(std=tensor[0].numel() ** -0.5 if tensor.dim() > 1 else 0.05)
    return module


def images(n, side):
    pad = torch.zeros(n, side, side, dtype=torch.uint8)
    pad[-1, :, side * 3 // 4:] = 1
    return {"pixels": torch.randn(n, 3, side, side) * (1 - pad[:, None]), "pad_mask": pad}


def texts(rows, length):
    ids = torch.randint(5, SHAPE["words"], (rows, length), dtype=torch.int32)
    ids[:, 0], ids[-1, -3:] = 2, 0
    labels = torch.where(torch.rand(rows, length) < 0.3, ids, -1)
    labels[ids == 0] = -1
    return {"ids": ids, "text_mask": (ids == 0).to(torch.uint8), "mlm_labels": labels,
            "itm_labels": torch.randint(0, 2, (rows,), dtype=torch.int32)}


def scene(n, most):
    attributes = torch.randint(0, SHAPE["attributes"], (n, most, 2), dtype=torch.int32)
    attributes[:, 0, 1], attributes[0, 1] = -1, -1
    captions = torch.randint(5, SHAPE["words"], (n, 9), dtype=torch.int32)
    captions[0, 6:] = 0
    return {"objects": torch.tensor([most - 1] + [most] * (n - 1), dtype=torch.int32), "attributes": attributes,
            "classes": torch.randint(0, SHAPE["classes"], (n, most), dtype=torch.int32),
            "boxes": torch.rand(n, most, 4) * 0.4 + 0.2, "caption_ids": captions}


def pairing(n, texts_per_image):
    rows = n * texts_per_image
    return {"image_index": torch.arange(n, dtype=torch.int32).repeat_interleave(texts_per_image),
            "mask_at": torch.rand(rows, dtype=torch.float64), "mask_keep": torch.ones(rows, dtype=torch.uint8)}


def photograph():
    from PIL import Image
    out = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(out, "JPEG")
    return torch.frombuffer(bytearray(out.getvalue()), dtype=torch.uint8)


def inputs(case):
    if case.startswith(("soho-pair", "e2e-pair")):
        return images(2, 128) | texts(2, 10)
    if case.startswith("soho"):
        texts_per_image = 1 if "r101" in case else 4
        return images(2, 128) | texts(2 * texts_per_image, 10) | pairing(2, texts_per_image)
    if case in ("e2e-step", "tiny-step"):
        return images(2, 64) | texts(2, 10) | scene(2, 3)
    if case == "dictionary":
        return {"features": torch.randn(40, 16), "table": torch.randn(12, 16)}
    if case == "matching":
        return {"logits": torch.randn(3, 12, 8), "boxes": torch.rand(3, 12, 4) * 0.4 + 0.2, "target_boxes": torch.rand(3, 5, 4) * 0.4 + 0.2,
                "classes": torch.randint(0, 7, (3, 5), dtype=torch.int32)}
    if case == "jpeg":
        return {"jpeg": photograph()}
    if case.startswith("tokenize"):
        raw = lambda text: torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        return {"vocab": raw("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ndog\nrun\n##s\n"), "captions": raw("A dog runs\na cat\n")}
    return images(1, 64) | texts(1, 10)


def module(case):
    sizes = {"soho-pair-608x1024": PAPER, "soho-r101-step": PAPER, "soho-r18-step": RELEASED, "soho-tiny-step": SOHO_TINY}
    if case.startswith("resnet"):
        return ResNet(**R50)
    if case in sizes:
        return Soho(sizes[case], SHAPE)
    if case.startswith(("e2e", "caption", "start")):
        return E2eVlp(E2E, SHAPE)
    return E2eVlp(TINY, SHAPE) if case == "tiny-step" else None


def main():
    torch.manual_seed(1)
    with tempfile.TemporaryDirectory() as folder:
        path_of = lambda name: str(Path(folder, name))
        for case in [*CASES, "start"]:
            model, file = module(case), None
            if model is not None:
                file = path_of("weights.safetensors")
                save_file(weights.export(randomize(model)), file)
            save_file(inputs(case), path_of("inputs.safetensors"))
            request = {"case": case, "weights": file, "inputs": path_of("inputs.safetensors"), "repeats": 1}
            answer = peer.answer(request, {})
            bad = [k for k, v in answer["losses"].items() if v is None]
            assert answer["losses"] and not bad and len(answer["seconds"]) == 1, answer
            print(f"{case:18} {answer['seconds'][0] * 1e3:9.2f} ms  {answer['losses']}", flush=True)
        strict(path_of("strict.safetensors"))
        greedy()
    print("every case ran")


def strict(file):
    """A file that lacks a tensor, or has one too many, is refused."""
    model = ResNet(**R50)
    tensors = weights.export(model)
    weights.fill(model, tensors | {"stem.norm.training": torch.zeros(1)}, file)
    for other, problem in [({k: v for k, v in tensors.items() if k != "stem.conv.weight"}, "stem.conv.weight is missing"),
                           (tensors | {"head.weight": torch.zeros(1)}, "head.weight has no parameter"),
                           (tensors | {"stem.conv.weight": torch.zeros(1)}, "stem.conv.weight is (1,)")]:
        try:
            weights.fill(model, other, file)
        except ValueError as error:
            assert problem in str(error), error
        else:
            raise AssertionError(f"{problem}: not noticed")


def greedy():
    """The cache changes nothing: one beam gives what whole prefixes give, and more beams are no worse."""
    model = randomize(E2eVlp(TINY, SHAPE)).eval()
    b = {"pixels": torch.randn(2, 3, 64, 64), "pad_mask": torch.zeros(2, 64, 64, dtype=torch.bool)}
    with torch.inference_mode():
        ids, one = search(model, b, 1, 6, 2)
        memory, pos, pad = model.encode_image(b["pixels"], b["pad_mask"])
        prefix = torch.full((2, 1), 2)
        for _ in range(6):
            states = model.caption_states(prefix, torch.zeros_like(prefix).bool(), memory, pos, pad)
            prefix = torch.cat((prefix, model.caption_logits(states[:, -1:]).argmax(-1)), 1)
        assert ids.equal(prefix[:, 1:]), (ids, prefix)
        assert (search(model, b, 5, 6, 2)[1] >= one - 1e-4).all()
