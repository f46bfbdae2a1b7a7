"""Optimizers of a step: groups by vlp's parameter paths, as its presets have them."""
import re

import torch

from weights import paths

NO_DECAY = re.compile(r"(^|\.)(gamma|beta|bias)$")


def optimizers(module, spec):
    """AdamW for all but the backbone, which has a learning rate of its own and may use SGD; `spec` as in `cases.py`."""
    groups = {}
    for path, parameter in paths(module).items():
        if not parameter.requires_grad:
            continue
        backbone = "backbone" in spec and path.startswith("model.backbone.")
        still = not spec["decay_all"] and NO_DECAY.search(path)
        groups.setdefault((backbone, bool(still)), []).append(parameter)
    adamw, sgd = [], []
    for (backbone, still), parameters in groups.items():
        options = spec["backbone"] if backbone else spec
        group = {"params": parameters, "lr": options["rate"], "weight_decay": 0.0 if still else options["decay"]}
        (sgd if "momentum" in options else adamw).append(group | ({"momentum": options["momentum"]} if "momentum" in options else {}))
    optimizers = [torch.optim.AdamW(adamw, betas=(0.9, 0.999), eps=spec["epsilon"], fused=True)] if adamw else []
    return optimizers + ([torch.optim.SGD(sgd, fused=True)] if sgd else [])
