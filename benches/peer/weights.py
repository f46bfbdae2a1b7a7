"""From vlp's weights file to PyTorch's modules: names, orientation, and no tensor left unused."""
import re

import torch
from safetensors.torch import load_file
from torch import nn


def shapes(tensors):
    """Sizes that follow from the data the weights were made for."""
    rows = lambda name, axis=0: tensors[name].shape[axis] if name in tensors else 0
    return {
        "words": rows("model.words.word.weight"),
        "positions": rows("model.words.position.weight"),
        "types": rows("model.words.token_type.weight"),
        "queries": rows("objectives.detection.query_embed"),
        "classes": rows("objectives.detection.heads.0.class.weight", 1) - 1,
        "attributes": rows("objectives.detection.heads.0.attribute.weight", 1),
        "codes": rows("model.quantizer.dictionary.running_codes"),
    }


def parameters(module):
    """(vlp's path, tensor to fill, whether vlp has it transposed) of every parameter and state."""
    for path, part in module.named_modules():
        norm = any("running_mean" == n for n, _ in part.named_buffers(recurse=False)) or isinstance(part, nn.LayerNorm)
        tensors = [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]
        for leaf, tensor in tensors:
            if leaf == "num_batches_tracked":
                continue
            name = {"weight": "gamma", "bias": "beta"}.get(leaf, leaf) if norm else leaf
            yield f"{path}.{name}", tensor, isinstance(part, nn.Linear) and leaf == "weight"


def fill(module, tensors, file):
    """Fills a module; a tensor that is missing, unused or of another shape is an error."""
    unused, problems = set(tensors), []
    for path, parameter, transposed in parameters(module):
        if path not in tensors:
            problems.append(f"{path} is missing")
            continue
        unused.discard(path)
        value = tensors[path].t() if transposed else tensors[path]
        if value.shape != parameter.shape:
            problems.append(f"{path} is {tuple(tensors[path].shape)}, not {tuple(parameter.t().shape if transposed else parameter.shape)}")
        else:
            with torch.no_grad():
                parameter.copy_(value)
    # Flags of the batch norms and of the dictionary.
    problems += [f"{path} has no parameter" for path in sorted(unused) if not re.search(r"(^|\.)training$", path)]
    if problems:
        raise ValueError(f"{file}: " + "; ".join(problems[:8]) + ("; .." if len(problems) > 8 else ""))
    return module


def paths(module):
    """Parameters by vlp's path, for the optimizer's groups."""
    trained = {id(p) for p in module.parameters()}
    return {path: tensor for path, tensor, _ in parameters(module) if id(tensor) in trained}


def export(module):
    """A module's tensors as vlp's file has them."""
    return {path: (t.t() if transposed else t).detach().clone().contiguous() for path, t, transposed in parameters(module)}


def read(file):
    return load_file(file, device=str(torch.get_default_device()))
