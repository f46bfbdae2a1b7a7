"""Writes golden cases of whole models and of operations. python golden.py CASES.py OUT_DIR [CASE...]

Expected values are computed in f64 and stored in f32; the JSON next to each case says, per tensor, how far PyTorch's
own f32 run is from that truth (err_f32), which is the yardstick for a tolerance.
"""
import dataclasses, json, sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import e2e_vlp, soho
import objectives as O
from ops import cast, narrow, ops

torch.set_num_threads(2)
f64, f32 = torch.float64, torch.float32

RECIPE = """weight[i] = f32(offset + scale * u(i)) evaluated in f64; i = row-major element index; wrapping u64 arithmetic:
key = fnv1a64(utf8(name)) xor seed;  z = key + (i+1)*0x9E3779B97F4A7C15;
z = (z xor z>>30)*0xBF58476D1CE4E5B9;  z = (z xor z>>27)*0x94D049BB133111EB;  z = z xor z>>31;
u = 2*(z>>40)/2^24 - 1   (in [-1,1));  fnv1a64: h=0xCBF29CE484222325; for byte: h = (h xor byte)*0x100000001B3"""


def hashed(name, shape, scale, offset, seed):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.arange(1, int(np.prod(shape)) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(h ^ seed)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float64) * 2.0**-23 - 1
    return torch.from_numpy((offset + scale * u).astype(np.float32)).reshape(shape)


def fill(model, seed):
    """Deterministic weights for every parameter and float buffer; returns the recipe table."""
    table, norms = [], {n for n, m in model.named_modules() if "Norm" in type(m).__name__}
    last_bn = {n + s for n, m in model.named_modules() for s in (".bn3",) if hasattr(m, "bn3")} | {
        n + ".bn2" for n, m in model.named_modules() if hasattr(m, "bn2") and not hasattr(m, "bn3")}
    for name, t in model.state_dict().items():
        owner, leaf = name.rpartition(".")[::2]
        if not t.is_floating_point():
            continue
        if leaf in ("cluster_size", "embed_avg"):
            scale, off = 0.0, 0.0
        elif leaf == "embed":
            scale, off = 1.7, 0.0
        elif owner in norms and leaf in ("weight", "running_var"):
            scale, off = (0.1, 0.3) if owner in last_bn and leaf == "weight" else (0.2, 1.0)
        elif t.dim() < 2:
            scale, off = 0.1, 0.0
        elif t.dim() == 4:
            scale, off = (6 / t[0].numel()) ** 0.5, 0.0
        else:
            # peaky cross attention over distinct memory tokens keeps random-weight queries apart (no near-tied assignments)
            gain = 3.0 if any(k in name for k in ("class_embed", "bbox_embed.4", "multihead_attn")) else 1.5
            gain = 0.4 if "encoder.layers" in name and "self_attn.out_proj" in name else gain
            scale, off = 3.0 if name.startswith("query_embed") else gain * (3 / t.shape[1]) ** 0.5, 0.0
        scale = float(np.float32(scale))
        w = hashed(name, tuple(t.shape), scale, off, seed)
        t.copy_(w)
        table.append({"name": name, "shape": list(t.shape), "scale": scale, "offset": off, "first": float(w.flatten()[0]),
                      "sum": float(w.double().sum())})
    return table


def text(rng, b, lens, vocab, special):
    ids = torch.zeros(b, max(lens), dtype=torch.long)
    for row, n in zip(ids, lens):
        row[:n] = torch.from_numpy(rng.integers(max(special) + 1 if vocab < 1000 else 1000, vocab, n))
        row[0], row[n - 1] = special[0], special[1]
    return ids


def make_batch(spec, vocab):
    """images (zero padded), pad mask, masked text, labels, captions, targets."""
    rng, sizes, seed = np.random.default_rng(spec["seed"]), spec["sizes"], spec["seed"]
    h, w = max(s[0] for s in sizes), max(s[1] for s in sizes)
    image, pad = hashed("image", (len(sizes), 3, h, w), 2.0, 0.0, seed), torch.ones(len(sizes), h, w, dtype=torch.bool)
    for i, (a, b) in enumerate(sizes):
        pad[i, :a, :b] = False
    image = image * ~pad[:, None]
    special = (101, 102, 103) if vocab > 1000 else (1, 2, 3)  # CLS, SEP, MASK; 0 is PAD
    rows = len(spec["text_lens"])
    ids = text(rng, rows, spec["text_lens"], vocab, special)
    text_pad, mlm = ids == 0, torch.full_like(ids, -100)
    for r, n in enumerate(spec["text_lens"]):
        for c in range(1, n - 1):
            if c % 3 == r % 3:
                mlm[r, c], ids[r, c] = ids[r, c].item(), special[2]
    out = {"image": image, "pad": pad, "ids": ids, "text_pad": text_pad, "mlm_labels": mlm,
           "itm_labels": torch.from_numpy(rng.integers(0, 2, rows))}
    if "caption_lens" in spec:
        out["caption_ids"] = text(rng, rows, spec["caption_lens"], vocab, special)
        c, out["targets"] = spec["config"], []
        for n in spec["objects"]:
            wh = rng.uniform(0.05, 0.5, (n, 2))
            xy = wh / 2 + rng.uniform(0, 1, (n, 2)) * (1 - wh)
            out["targets"].append({"labels": torch.from_numpy(rng.integers(0, c["classes"], n)),
                                   "attrs": torch.from_numpy(rng.integers(-1, c["attrs"], n)),
                                   "boxes": torch.from_numpy(np.concatenate([xy, wh], 1).reshape(n, 4).astype(np.float32))})
    return out


def flat(x, prefix=""):
    """Nested outputs -> {name: tensor}."""
    if isinstance(x, torch.Tensor):
        return {prefix: x.detach()}
    items = x.items() if isinstance(x, dict) else enumerate(x)
    return {k: v for key, val in items for k, v in flat(val, f"{prefix}.{key}" if prefix else str(key)).items()}


def grad_norms(model):
    return {n: p.grad.norm().item() for n, p in model.named_parameters() if p.grad is not None}


def trace(model, opts, clip, forward, losses_of):
    """First forward/backward in full, then the loss after each of 3 clipped optimizer steps."""
    tensors, scalars = {}, {}
    for step in range(4):
        for o in opts:
            o.zero_grad(set_to_none=True)
        out = forward()
        losses, extra = losses_of(out)
        loss = O.total(losses)
        if step == 0:
            tensors = {**flat(out), **flat(extra)}
            scalars["loss"] = {k: v.item() for k, v in losses.items()} | {"total": loss.item()}
        else:
            scalars.setdefault("after_step", []).append({"total": loss.item(), **{k: v.item() for k, v in losses.items()}})
        if step == 3:
            break
        loss.backward()
        if step == 0:
            scalars["grad_norm"] = grad_norms(model)
        total = torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        scalars.setdefault("grad_norm_total", []).append(total.item())
        for o in opts:
            o.step()
    scalars["param_norm_after_3"] = {n: p.norm().item() for n, p in model.named_parameters() if p.requires_grad}
    return tensors, scalars


def run_e2e(spec, dtype):
    model = e2e_vlp.E2EVLP(e2e_vlp.Config(**spec["config"], dropout=0.0))
    table = fill(model, spec["seed"])
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    model.to(dtype).train()
    raw = make_batch(spec, model.c.vocab)
    b = cast(raw, dtype)
    opts = [torch.optim.AdamW(model.param_groups(*spec["lr"]), weight_decay=1e-4)]

    def losses_of(out):
        losses, pairs = O.e2e_losses(out, b, spec["w_attr"])
        order = [len(pairs) - 1, *range(len(pairs) - 1)]  # pairs come last layer first
        return losses, {"match": {str(l): {str(i): torch.stack(p) for i, p in enumerate(pairs[k])} for k, l in enumerate(order)}}

    t, s = trace(model, opts, spec["clip"], lambda: model(b["image"], b["pad"], b["ids"], b["text_pad"], b["caption_ids"]), losses_of)
    return raw, weights, table, t, s


def run_soho(spec, dtype):
    model = soho.SOHO(soho.Config(**spec["config"], dropout=0.0))
    table = fill(model, spec["seed"])
    weights = {k: v.clone() for k, v in model.state_dict().items() if "num_batches" not in k}
    model.to(dtype)
    raw = make_batch(spec, model.c.vocab)
    b = cast(raw, dtype)
    model.eval()
    with torch.no_grad():
        ev = model(b["image"], b["pad"], b["ids"], b["text_pad"])
    model.train()
    # mask the most frequent code of each row (indices of the training-mode pass, taken in f64 on a copy of the buffers)
    if "where" not in spec:
        keep_sd = {k: v.clone() for k, v in model.state_dict().items()}
        with torch.no_grad():
            probe = model(b["image"], b["pad"], b["ids"], b["text_pad"])
        model.load_state_dict(keep_sd)
        where = []
        for row, vp in zip(probe["indices"], probe["visual_pad"]):
            good = (~vp).nonzero()[:, 0]
            code = row[good].mode().values
            where.append(good[(row[good] == code).nonzero()[-1, 0]].item())
        where[-1] = int(probe["visual_pad"].shape[1] - 1)  # last row points at the last cell (padding in some cases)
        spec["where"], spec["keep"] = where, [1] * len(where)
        if len(where) > 2:
            spec["keep"][1] = 0
    b["where"] = raw["where"] = torch.tensor(spec["where"])
    b["keep"] = raw["keep"] = torch.tensor(spec["keep"])
    after = {}

    def forward():
        out = model(b["image"], b["pad"], b["ids"], b["text_pad"], b["where"], b["keep"])
        if not after:
            n = model.neck
            after.update({k: getattr(n.vq, k).clone() for k in ("embed", "cluster_size", "embed_avg")})
            after.update({"bn.running_mean": n.bn.running_mean.clone(), "bn.running_var": n.bn.running_var.clone()})
        return out

    t, s = trace(model, model.optimizers(), spec["clip"], forward, lambda out: (O.soho_losses(out, b), {}))
    t |= {f"after_update.{k}": v for k, v in after.items()} | {f"eval.{k}": v.detach() for k, v in flat(ev).items()
                                                             if k in ("indices", "quant", "visual", "mlm", "itm", "mvm")}
    return raw, weights, table, t, s


def err(a, b):
    return {"max_abs": float(a.abs().max()) if a.numel() else 0.0, "err_f32": float((a - b.double()).abs().max()) if a.numel() else 0.0}


def write_case(folder, name, spec, run):
    raw, weights, table, t64, s64 = run(spec, f64)
    *_, t32, s32 = run(spec, f32)
    bad = [k for k in t64 if not t64[k].is_floating_point() and not torch.equal(t64[k], t32[k])]
    if bad:
        print(f"  WARNING {name}: f32 and f64 disagree on discrete {bad}")
    files, big = {}, spec["real"]
    inp = flat({k: v for k, v in raw.items() if k != "targets"}, "in")
    if "targets" in raw:
        inp |= {f"in.targets.{i}.{k}": v for i, t in enumerate(raw["targets"]) for k, v in t.items()}
    if big:
        inp.pop("in.image")
    files |= inp
    if not big:
        files |= {f"w.{k}": v for k, v in weights.items()}
    meta = {}
    for k, v in t64.items():
        meta[k] = {"shape": list(v.shape)} | (err(v, t32[k]) if v.is_floating_point() else {"discrete": True})
        n = v.numel()
        if big and n > 4096 and v.is_floating_point():
            at = (torch.arange(256, dtype=torch.long) * 2654435761 + 12345) % n
            meta[k] |= {"probe": True, "sum": float(v.sum()), "abs_sum": float(v.abs().sum()), "l2": float(v.norm())}
            files[f"probe.{k}.at"], files[f"probe.{k}.val"] = at, narrow(v.flatten()[at])
        else:
            files[f"out.{k}"] = narrow(v)
    save_file({k: narrow(v).clone() for k, v in files.items()}, folder / f"{name}.safetensors")
    info = {"spec": spec, "recipe": RECIPE if big else None, "weights": table if big else None, "tensors": meta,
            "scalars": s64, "scalars_f32": {k: s32[k] for k in ("loss", "after_step", "grad_norm_total")},
            "grad_norm_err_f32": {k: abs(s32["grad_norm"][k] - v) for k, v in s64["grad_norm"].items()}}
    (folder / f"{name}.json").write_text(json.dumps(info, indent=None if big else 1))
    print(f"  {name}: total {s64['loss']['total']:.6f} (f32 {s32['loss']['total']:.6f}), after 3 steps {s64['after_step'][-1]['total']:.6f}"
          f" (f32 {s32['after_step'][-1]['total']:.6f}); {len(files)} tensors, {(folder / f'{name}.safetensors').stat().st_size / 1e6:.2f} MB")


def E(seed, sizes, text_lens, caption_lens, objects, w_attr=0.0, real=False, clip=0.1, **config):
    lr = (1e-5, 1e-6) if real else (1e-4, 1e-5)  # transformer, backbone; Adam on hashed weights is chaotic at 1e-4 in the big case
    full = {k: v for k, v in dataclasses.asdict(e2e_vlp.Config(**config)).items() if k != "dropout"}
    return dict(seed=seed, sizes=sizes, text_lens=text_lens, caption_lens=caption_lens, objects=objects, w_attr=w_attr, real=real, clip=clip, lr=lr, config=full)


def S(seed, sizes, text_lens, real=False, clip=10.0, **config):
    full = {k: v for k, v in dataclasses.asdict(soho.Config(**config)).items() if k != "dropout"}
    return dict(seed=seed, sizes=sizes, text_lens=text_lens, real=real, clip=clip, config=full)



if __name__ == "__main__":
    scope = {"E": E, "S": S}
    exec(Path(sys.argv[1]).read_text(), scope)
    out, only = Path(sys.argv[2]), sys.argv[3:]
    out.mkdir(parents=True, exist_ok=True)
    for case, spec in scope["CASES"].items():
        if only and not any(o in case for o in only):
            continue
        if case == "ops":
            ops(out, spec)
        else:
            write_case(out, case, spec, run_e2e if case.startswith("e2e") else run_soho)
