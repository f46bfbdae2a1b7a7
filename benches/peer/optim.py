"""Optimisers of a step: groups by vlp's parameter paths, as its presets have them."""
import re

import torch

from weights import paths

NO_DECAY = re.compile(r"(^|\.)(gamma|beta|bias)$")


def optimisers(module, spec):
    """AdamW for all but the trunk, which has its own rate and may have SGD; `spec` as in `cases.py`."""
    groups = {}
    for path, parameter in paths(module).items():
        if not parameter.requires_grad:
            continue
        trunk = "trunk" in spec and path.startswith("model.backbone.")
        still = not spec["decay_all"] and NO_DECAY.search(path)
        groups.setdefault((trunk, bool(still)), []).append(parameter)
    adamw, sgd = [], []
    for (trunk, still), parameters in groups.items():
        own = spec["trunk"] if trunk else spec
        group = {"params": parameters, "lr": own["rate"], "weight_decay": 0.0 if still else own["decay"]}
        (sgd if "momentum" in own else adamw).append(group | ({"momentum": own["momentum"]} if "momentum" in own else {}))
    found = [torch.optim.AdamW(adamw, betas=(0.9, 0.999), eps=spec["epsilon"], fused=True)] if adamw else []
    return found + ([torch.optim.SGD(sgd, fused=True)] if sgd else [])
