"""SOHO: a visual dictionary over the backbone's feature map, BERT's encoder over text and image tokens."""
import torch
import torch.nn.functional as F
from torch import nn

from layers import Encoder, Holder, MlmHead, TextEmbedding, resize_mask, sine_positions
from losses import cross_entropy
from resnet import ConvNorm, ResNet

MASK64 = (1 << 64) - 1


class Dictionary(nn.Module):
    """`rule`: "paper" moves rows towards the mean of their features, "released" keeps running counts and sums."""

    def __init__(self, codes, width, rule, decay, init_from_data=False, dead_code_threshold=0.0):
        super().__init__()
        self.rule, self.decay = rule, decay
        self.init_from_data, self.dead_code_threshold = init_from_data, dead_code_threshold
        self.register_buffer("running_codes", torch.zeros(codes, width))
        self.register_buffer("running_counts", torch.zeros(codes))
        self.register_buffer("running_sums", torch.zeros(codes, width))
        self.register_buffer("running_usage", torch.zeros(codes))
        self.register_buffer("running_totals", torch.zeros(2))

    @torch.no_grad()
    def nearest(self, x):
        table = self.running_codes
        return torch.addmm(table.square().sum(1), x, table.t(), alpha=-2).argmin(1)

    @torch.no_grad()
    def learn(self, x, weights):
        """Codes by the table as it is; then the table follows. `weights`: how often each feature counts."""
        table, first = self.running_codes, self.running_totals[0] == 0
        if first and self.init_from_data:
            real = (weights > 0).nonzero()[:, 0]
            table.copy_(x[real[torch.arange(len(table), device=x.device) * len(real) // len(table)]])
        codes = self.nearest(x)
        counts = torch.zeros(len(table), device=x.device).index_add_(0, codes, weights)
        sums = torch.zeros_like(table).index_add_(0, codes, x * weights[:, None])
        if self.rule == "paper":
            used = counts > 0
            table[used] = self.decay * table[used] + (1 - self.decay) * sums[used] / counts[used, None]
        else:
            self.running_counts.mul_(self.decay).add_(counts, alpha=1 - self.decay)
            self.running_sums.mul_(self.decay).add_(sums, alpha=1 - self.decay)
            total, smooth = self.running_counts.sum(), 1e-5 * len(table)
            sizes = (self.running_counts + 1e-5) * (total / (total + smooth))
            table.copy_(self.running_sums / sizes[:, None])
        if first:
            self.running_usage.copy_(counts)
        else:
            self.running_usage.mul_(0.99).add_(counts, alpha=0.01)
            if self.dead_code_threshold:
                self.restart(x, weights)
        self.running_totals[0] += 1
        return codes

    # Python integers of 64 bits: `torch.compile` cannot hold them.
    @torch.compiler.disable
    def restart(self, x, weights):
        n = len(x)
        at = torch.tensor([mix(row) % n for row in range(len(self.running_codes))], device=x.device)
        at = (at + self.running_totals[0].long() % n * min(7919, (2**31 - 1) // n - 1)) % n
        dead = (self.running_usage < self.dead_code_threshold) & (weights[at] > 0)
        self.running_codes[dead] = x[at[dead]]
        self.running_usage[dead] = 2 * self.dead_code_threshold
        self.running_totals[1] += dead.sum()

    def forward(self, x, weights):
        """The nearest rows, whose gradient goes to `x`, and their numbers."""
        seen = x.detach()
        codes = self.learn(seen, weights) if self.training else self.nearest(seen)
        return x + (self.running_codes[codes] - seen), codes


def mix(value):
    """SplitMix64."""
    z = (value + 1) * 0x9E3779B97F4A7C15 & MASK64
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK64
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK64
    return z ^ z >> 31


class Soho(nn.Module):
    def __init__(self, size, shape):
        super().__init__()
        self.size, width = size, size["width"]
        backbone = ResNet(**size["backbone"])
        quantizer = Holder(dictionary=Dictionary(shape["codes"], width, **size["dictionary"]),
                           mask=nn.Parameter(torch.zeros(width)))
        quantizer.linear = nn.Linear(width, width) if size["linear"] else None
        quantizer.gate = ConvNorm(2 * width, 2, 1) if size["gate"] else None
        self.model = Holder(
            backbone=backbone, input_proj=ConvNorm(backbone.channels, width, 1), quantizer=quantizer, norm=nn.LayerNorm(width),
            words=TextEmbedding(shape["words"], shape["positions"], shape["types"], width),
            encoder=Encoder(size["encoder"], width, size["heads"], size["ffn"], bert=True))
        self.objectives = Holder(itm=Holder(head=nn.Linear(width, 2, bias=size["itm_bias"])),
                                 mlm=MlmHead(width, shape["words"], tied=size["tied"]))

    def image_tokens(self, pixels, pad, texts_per_image):
        """Image tokens (images, tokens, width), their codes, positions and padding."""
        m, q, pool = self.model, self.model.quantizer, self.size["pool"]
        x = m.backbone(pixels)
        x = F.max_pool2d(x, 2, 2) if pool == "before" else x
        x = m.input_proj(x)
        x = F.max_pool2d(x, 2, 2) if pool == "after" else x
        n, width, h, w = x.shape
        pad = resize_mask(pad, (h, w))
        flat = x.flatten(2).transpose(1, 2)
        counts = torch.ones(n * h * w, device=x.device) if self.size["count_padding"] else (~pad).float().flatten()
        quantized, codes = q.dictionary(flat.reshape(-1, width), counts * texts_per_image)
        tokens = quantized.view(n, h * w, width)
        tokens = tokens if q.linear is None else q.linear(tokens)
        if q.gate is not None:
            both = torch.cat((tokens, flat), 2).transpose(1, 2).unflatten(2, (h, w))
            gates = q.gate(both).softmax(1).flatten(2).transpose(1, 2)
            tokens = tokens * gates[..., :1] + flat * gates[..., 1:]
        return tokens, codes.view(n, h * w), sine_positions(pad, width), pad.flatten(1)

    def visual_mask(self, codes, pad, b):
        """Image tokens to mask for each text: all with the code of the one that `mask_at` names."""
        rows, device = torch.zeros(len(b["ids"]), codes.shape[1], dtype=torch.bool), codes.device
        codes, pad, keep, at_share = codes.cpu(), pad.cpu(), b["mask_keep"].tolist(), b["mask_at"].tolist()
        for row, image in enumerate(b["image_index"].tolist()):
            if not keep[row]:
                continue
            real = (~pad[image]).nonzero()[:, 0]
            positions = real if self.size["sample"] else torch.arange(codes.shape[1])
            if not len(positions):
                continue
            at = positions[int(at_share[row] * 65536) * len(positions) >> 16]
            if not pad[image, at]:
                rows[row] = (codes[image] == codes[image, at]) & ~pad[image]
        return rows.to(device)

    def pair(self, b):
        """Inference: ITM alone, of one text for each image."""
        m = self.model
        tokens, _, pos, pad = self.image_tokens(b["pixels"], b["pad_mask"], 1)
        x = torch.cat((m.words(b["ids"]), m.norm(tokens + pos)), 1)
        x = m.encoder(x, None, torch.cat((b["text_mask"], pad), 1))
        return {"itm": self.objectives.itm.head(x[:, 0])}

    def losses(self, b):
        m, image_index = self.model, b["image_index"]
        tokens, codes, pos, pad = self.image_tokens(b["pixels"], b["pad_mask"], len(image_index) // len(b["pixels"]))
        masked_tokens = self.visual_mask(codes, pad, b)
        tokens = torch.where(masked_tokens[..., None], m.quantizer.mask, tokens[image_index])
        length = b["ids"].shape[1]
        x = torch.cat((m.words(b["ids"]), m.norm(tokens + pos[image_index])), 1)
        x = m.encoder(x, None, torch.cat((b["text_mask"], pad[image_index]), 1))
        terms = {"itm": F.cross_entropy(self.objectives.itm.head(x[:, 0]), b["itm_labels"])}
        masked = b["mlm_labels"] >= 0
        logits = self.objectives.mlm(x[:, :length][masked], m.words.word.weight)
        terms["mlm"] = cross_entropy(logits, b["mlm_labels"][masked])
        states = F.normalize(x[:, length:][masked_tokens], dim=-1)
        table = F.normalize(m.quantizer.dictionary.running_codes, dim=-1)
        terms["mvm"] = cross_entropy(states @ table.t() / self.size["temperature"], codes[image_index][masked_tokens])
        return terms
