"""Beam search with cached keys and values; no token ends a caption."""
import torch


class Step:
    """One more token for every row."""

    def __init__(self, model, memory, pos, pad):
        self.model, self.decoder = model, model.model.decoder
        self.memory = self.decoder.memory(memory, pos)
        self.pad_mask = pad[:, None, None]
        self.cache = [None] * len(self.decoder.layers)
        self.position = 0

    def __call__(self, ids):
        x = self.model.model.words(ids[:, None], self.position)
        self.position += 1
        for i, layer in enumerate(self.decoder.layers):
            projected = layer.self_attention.project(x, x)
            cached = self.cache[i]
            self.cache[i] = projected if cached is None else tuple(torch.cat(p, 2) for p in zip(cached, projected))
            x = layer(x, None, self.cache[i], None, self.memory[i], self.pad_mask)
        return self.model.caption_logits(self.decoder.norm(x[:, 0])).log_softmax(-1)

    def reorder(self, rows):
        self.cache = [tuple(t[rows] for t in layer) for layer in self.cache]


def search(model, b, beams, length, first):
    """Ids and log-probability of each image's best caption of `length` tokens."""
    memory, pos, pad = model.encode_image(b["pixels"], b["pad_mask"])
    n = len(memory)
    device = memory.device
    rows = torch.arange(n, device=device).repeat_interleave(beams)
    step = Step(model, memory[rows], pos[rows], pad[rows])
    # All beams start equal: only the first is extended at the first step.
    sums = torch.full((n, beams), -torch.inf, device=device)
    sums[:, 0] = 0
    last, ids = torch.full((n * beams,), first, device=device), torch.zeros(n * beams, 0, dtype=torch.long, device=device)
    for _ in range(length):
        scores = sums.view(-1, 1) + step(last)
        vocab_size = scores.shape[1]
        sums, best = scores.view(n, -1).topk(beams)
        parents = (best // vocab_size + torch.arange(n, device=device)[:, None] * beams).flatten()
        last = (best % vocab_size).flatten()
        ids = torch.cat((ids[parents], last[:, None]), 1)
        if beams > 1:
            step.reorder(parents)
    return ids.view(n, beams, -1)[:, 0], sums[:, 0]
