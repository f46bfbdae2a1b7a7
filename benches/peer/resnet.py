"""ResNet backbone, with torchvision's structure and vlp's parameter paths."""
import torch.nn.functional as F
from torch import nn
from torchvision.ops.misc import FrozenBatchNorm2d

DEPTHS = {10: (False, (1, 1, 1, 1)), 18: (False, (2, 2, 2, 2)), 50: (True, (3, 4, 6, 3)), 101: (True, (3, 4, 23, 3))}


class ConvNorm(nn.Module):
    def __init__(self, inner, outer, kernel, stride=1, frozen=False):
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, bias=False)
        self.norm = FrozenBatchNorm2d(outer) if frozen else nn.BatchNorm2d(outer)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, bottleneck, inner, planes, stride, frozen):
        super().__init__()
        outer = planes * (4 if bottleneck else 1)
        make = lambda i, o, k, s=1: ConvNorm(i, o, k, s, frozen)
        if bottleneck:
            layers = [make(inner, planes, 1), make(planes, planes, 3, stride), make(planes, outer, 1)]
        else:
            layers = [make(inner, planes, 3, stride), make(planes, planes, 3)]
        self.layers = nn.ModuleList(layers)
        self.downsample = make(inner, outer, 1, stride) if stride > 1 or inner != outer else None
        self.channels = outer

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return F.relu(self.layers[-1](x) + shortcut)


class ResNet(nn.Module):
    """`frozen_norms`: all norms are constants; `frozen`: so many parts stand still, the stem first."""

    def __init__(self, depth, width=64, small_stem=False, stages=4, frozen_norms=True, frozen=2):
        super().__init__()
        bottleneck, counts = DEPTHS[depth]
        self.small_stem = small_stem
        self.stem = ConvNorm(3, width, 3 if small_stem else 7, 2, frozen_norms or frozen > 0)
        self.stages, channels = nn.ModuleList(), width
        for i, count in enumerate(counts[:stages]):
            blocks = nn.ModuleList()
            for j in range(count):
                still = frozen_norms or frozen > i + 1
                blocks.append(Block(bottleneck, channels, width << i, 2 if i and not j else 1, still))
                channels = blocks[-1].channels
            self.stages.append(blocks)
        self.channels = channels
        for part in [self.stem, *self.stages][:frozen]:
            part.requires_grad_(False)

    def forward(self, x):
        x = F.relu(self.stem(x))
        if not self.small_stem:
            x = F.max_pool2d(x, 3, 2, 1)
        for stage in self.stages:
            for block in stage:
                x = block(x)
        return x
