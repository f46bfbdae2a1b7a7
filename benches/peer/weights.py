"""From vlp's weights file to PyTorch's modules: names, orientation, and nothing left over."""
import re

import torch
from safetensors.torch import load_file
from torch import nn


def shapes(tensors):
    """Sizes that follow from the data the weights were made for."""
    rows = lambda name, axis=0: tensors[name].shape[axis] if name in tensors else 0
    return {
        "words": rows("model.words.word.weight"),
        "places": rows("model.words.position.weight"),
        "types": rows("model.words.token_type.weight"),
        "queries": rows("objectives.detection.query_embed"),
        "classes": rows("objectives.detection.heads.0.class.weight", 1) - 1,
        "attributes": rows("objectives.detection.heads.0.attribute.weight", 1),
        "codes": rows("model.quantiser.dictionary.running_codes"),
    }


def places(module):
    """(vlp's path, tensor to fill, whether vlp has it transposed) of every parameter and state."""
    for path, part in module.named_modules():
        norm = any("running_mean" == n for n, _ in part.named_buffers(recurse=False)) or isinstance(part, nn.LayerNorm)
        own = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        for leaf, tensor in own:
            if leaf == "num_batches_tracked":
                continue
            name = {"weight": "gamma", "bias": "beta"}.get(leaf, leaf) if norm else leaf
            yield f"{path}.{name}", tensor, isinstance(part, nn.Linear) and leaf == "weight"


def fill(module, tensors, file):
    """Fills a module; a tensor that is missing, left over or of another shape is an error."""
    left, problems = set(tensors), []
    for path, own, transposed in places(module):
        if path not in tensors:
            problems.append(f"{path} is missing")
            continue
        left.discard(path)
        value = tensors[path].t() if transposed else tensors[path]
        if value.shape != own.shape:
            problems.append(f"{path} is {tuple(tensors[path].shape)}, not {tuple(own.t().shape if transposed else own.shape)}")
        else:
            with torch.no_grad():
                own.copy_(value)
    # Flags of the batch norms and of the dictionary.
    problems += [f"{path} has no place" for path in sorted(left) if not re.search(r"(^|\.)training$", path)]
    if problems:
        raise ValueError(f"{file}: " + "; ".join(problems[:8]) + ("; .." if len(problems) > 8 else ""))
    return module


def paths(module):
    """Parameters by vlp's path, for the optimiser's groups."""
    trained = {id(p) for p in module.parameters()}
    return {path: tensor for path, tensor, _ in places(module) if id(tensor) in trained}


def export(module):
    """A module's tensors as vlp's file has them."""
    return {path: (t.t() if turned else t).detach().clone().contiguous() for path, t, turned in places(module)}


def read(file):
    return load_file(file, device=str(torch.get_default_device()))
