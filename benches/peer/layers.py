"""Attention, transformer layers, text embedding and positions of both models. Names are vlp's parameter paths."""
import math

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Multi-head attention; `mask` (broadcast to batch, heads, queries, keys) is true where a key is masked."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key = nn.Linear(width, width), nn.Linear(width, width)
        self.value, self.output = nn.Linear(width, width), nn.Linear(width, width)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def project(self, key, value):
        return self.split(self.key(key)), self.split(self.value(value))

    def attend(self, query, keys, values, mask):
        visible = None if mask is None else ~mask
        x = F.scaled_dot_product_attention(self.split(self.query(query)), keys, values, attn_mask=visible)
        return self.output(x.transpose(1, 2).flatten(2))

    def forward(self, query, key, value, mask):
        return self.attend(query, *self.project(key, value), mask)


class FeedForward(nn.Module):
    def __init__(self, width, inner, activation):
        super().__init__()
        self.inner, self.outer, self.activation = nn.Linear(width, inner), nn.Linear(inner, width), activation

    def forward(self, x):
        return self.outer(self.activation(self.inner(x)))


class EncoderLayer(nn.Module):
    """Post-norm layer: DETR's (ReLU, epsilon 1e-5) or BERT's (GELU, 1e-12)."""

    def __init__(self, width, heads, inner, bert):
        super().__init__()
        eps = 1e-12 if bert else 1e-5
        self.attention = Attention(width, heads)
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width, eps=eps)
        self.feed_forward = FeedForward(width, inner, F.gelu if bert else F.relu)

    def forward(self, x, pos, mask):
        q = x if pos is None else x + pos
        x = self.norm1(x + self.attention(q, q, x, mask))
        return self.norm2(x + self.feed_forward(x))


class Encoder(nn.Module):
    def __init__(self, layers, width, heads, inner, bert=False):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(width, heads, inner, bert) for _ in range(layers))

    def forward(self, x, pos, pad):
        for layer in self.layers:
            x = layer(x, pos, pad[:, None, None])
        return x


class DecoderLayer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.self_attention, self.cross_attention = Attention(width, heads), Attention(width, heads)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.feed_forward = FeedForward(width, inner, F.relu)

    def forward(self, x, pos, cache, mask, memory, memory_mask):
        """`cache` and `memory` are keys and values, already projected."""
        add = lambda x: x if pos is None else x + pos
        x = self.norm1(x + self.self_attention.attend(add(x), *cache, mask))
        x = self.norm2(x + self.cross_attention.attend(add(x), *memory, memory_mask))
        return self.norm3(x + self.feed_forward(x))


class Decoder(nn.Module):
    """DETR's decoder; one norm over every layer's output."""

    def __init__(self, layers, width, heads, inner):
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(width, heads, inner) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def memory(self, states, pos):
        """Keys and values of the memory for every layer."""
        return [layer.cross_attention.project(states + pos, states) for layer in self.layers]

    def forward(self, x, pos, mask, states, states_pos, states_pad):
        out = []
        for layer, memory in zip(self.layers, self.memory(states, states_pos)):
            projected = layer.self_attention.project(x if pos is None else x + pos, x)
            x = layer(x, pos, projected, mask, memory, states_pad[:, None, None])
            out.append(self.norm(x))
        return out


class TextEmbedding(nn.Module):
    """BERT's: tokens, positions and the first token type, normalized."""

    def __init__(self, words, positions, types, width):
        super().__init__()
        self.word, self.position = nn.Embedding(words, width), nn.Embedding(positions, width)
        self.token_type, self.norm = nn.Embedding(types, width), nn.LayerNorm(width, eps=1e-12)

    def forward(self, ids, start=0):
        positions = self.position.weight[start:start + ids.shape[1]]
        return self.norm(self.word(ids) + positions + self.token_type.weight[0])


def resize_mask(pad, size):
    """Padding mask (batch, height, width; true = padding) at the map's size, nearest neighbor."""
    return F.interpolate(pad[:, None].float(), size=size)[:, 0].bool()


def sine_positions(pad, width):
    """DETR's normalized positions (batch, tokens, width): rows in the first half, columns in the second."""
    half, valid = width // 2, (~pad).float()
    y, x = valid.cumsum(1), valid.cumsum(2)
    y = y / (y[:, -1:] + 1e-6) * 2 * math.pi
    x = x / (x[:, :, -1:] + 1e-6) * 2 * math.pi
    rate = 10000 ** (torch.arange(0, half, 2, dtype=torch.float64, device=pad.device) / half)

    def wave(angle):
        angle = angle[..., None] / rate.float()
        return torch.stack((angle.sin(), angle.cos()), -1).flatten(-2)

    return torch.cat((wave(y), wave(x)), -1).flatten(1, 2)


class MlmHead(nn.Module):
    """BERT's head, or the word table alone (`tied`)."""

    def __init__(self, width, words, tied):
        super().__init__()
        self.tied = tied
        if not tied:
            self.transform, self.norm = nn.Linear(width, width), nn.LayerNorm(width, eps=1e-12)
            self.bias = nn.Parameter(torch.zeros(words))

    def forward(self, x, table):
        if self.tied:
            return F.linear(x, table)
        return F.linear(self.norm(F.gelu(self.transform(x))), table, self.bias)


class Holder(nn.Module):
    """Named parts of a module without a forward pass."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
