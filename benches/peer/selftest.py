"""Every case once, on random weights and small pictures, through the worker's own protocol."""
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

SHAPE = {"words": 300, "places": 64, "types": 2, "queries": 12, "classes": 7, "attributes": 5, "codes": 8}


def randomise(module):
    for path, tensor, _ in weights.places(module):
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


def pictures(n, side):
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


def cells(n, copies):
    rows = n * copies
    return {"image_of": torch.arange(n, dtype=torch.int32).repeat_interleave(copies),
            "mask_at": torch.rand(rows, dtype=torch.float64), "mask_keep": torch.ones(rows, dtype=torch.uint8)}


def photograph():
    from PIL import Image
    out = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert("RGB").save(out, "JPEG")
    return torch.frombuffer(bytearray(out.getvalue()), dtype=torch.uint8)


def inputs(case):
    if case.startswith("soho"):
        copies = 1 if "r101" in case else 4
        return pictures(2, 128) | texts(2 * copies, 10) | cells(2, copies)
    if case in ("e2e-step", "tiny-step"):
        return pictures(2, 64) | texts(2, 10) | scene(2, 3)
    if case == "dictionary":
        return {"features": torch.randn(40, 16), "table": torch.randn(12, 16)}
    if case == "matching":
        return {"logits": torch.randn(3, 12, 8), "boxes": torch.rand(3, 12, 4) * 0.4 + 0.2, "target_boxes": torch.rand(3, 5, 4) * 0.4 + 0.2,
                "classes": torch.randint(0, 7, (3, 5), dtype=torch.int32)}
    if case == "jpeg":
        return {"jpeg": photograph()}
    if case.startswith("tokenise"):
        raw = lambda text: torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8)
        return {"vocab": raw("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ndog\nrun\n##s\n"), "captions": raw("A dog runs\na cat\n")}
    return pictures(1, 64) | texts(1, 10)


def module(case):
    sizes = {"soho-r101-step": PAPER, "soho-r18-step": RELEASED, "soho-tiny-step": SOHO_TINY}
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
        place = lambda name: str(Path(folder, name))
        for case in [*CASES, "start"]:
            own, file = module(case), None
            if own is not None:
                file = place("weights.safetensors")
                save_file(weights.export(randomise(own)), file)
            save_file(inputs(case), place("inputs.safetensors"))
            request = {"case": case, "weights": file, "inputs": place("inputs.safetensors"), "repeats": 1}
            found = peer.answer(request, {})
            bad = [k for k, v in found["losses"].items() if v is None]
            assert found["losses"] and not bad and len(found["seconds"]) == 1, found
            print(f"{case:18} {found['seconds'][0] * 1e3:9.2f} ms  {found['losses']}", flush=True)
        strict(place("strict.safetensors"))
        greedy()
    print("every case ran")


def strict(file):
    """A file that lacks a tensor, or has one too many, is refused."""
    own = ResNet(**R50)
    tensors = weights.export(own)
    weights.fill(own, tensors | {"stem.norm.training": torch.zeros(1)}, file)
    for other, problem in [({k: v for k, v in tensors.items() if k != "stem.conv.weight"}, "stem.conv.weight is missing"),
                           (tensors | {"head.weight": torch.zeros(1)}, "head.weight has no place"),
                           (tensors | {"stem.conv.weight": torch.zeros(1)}, "stem.conv.weight is (1,)")]:
        try:
            weights.fill(own, other, file)
        except ValueError as error:
            assert problem in str(error), error
        else:
            raise AssertionError(f"{problem}: not noticed")


def greedy():
    """The cache changes nothing: one beam gives what whole prefixes give, and more beams are no worse."""
    own = randomise(E2eVlp(TINY, SHAPE)).eval()
    b = {"pixels": torch.randn(2, 3, 64, 64), "pad_mask": torch.zeros(2, 64, 64, dtype=torch.bool)}
    with torch.inference_mode():
        ids, one = search(own, b, 1, 6, 2)
        x, pos, pad = own.cells(b["pixels"], b["pad_mask"])
        alone, found = own.model.encoder(x, pos, pad), torch.full((2, 1), 2)
        for _ in range(6):
            states = own.caption_states(found, torch.zeros_like(found).bool(), alone, pos, pad)
            found = torch.cat((found, own.caption_logits(states[:, -1:]).argmax(-1)), 1)
        assert ids.equal(found[:, 1:]), (ids, found)
        assert (search(own, b, 5, 6, 2)[1] >= one - 1e-4).all()
