"""Beam search with cached keys and values; no token ends a caption."""
import torch


class Step:
    """One more token for every row."""

    def __init__(self, model, alone, pos, pad):
        self.model, self.decoder = model, model.model.decoder
        self.memory = self.decoder.memory(alone, pos)
        self.hidden = pad[:, None, None]
        self.own = [None] * len(self.decoder.layers)
        self.place = 0

    def __call__(self, ids):
        x = self.model.model.words(ids[:, None], self.place)
        self.place += 1
        for i, layer in enumerate(self.decoder.layers):
            now = layer.self_attention.project(x, x)
            before = self.own[i]
            self.own[i] = now if before is None else tuple(torch.cat(p, 2) for p in zip(before, now))
            x = layer(x, None, self.own[i], None, self.memory[i], self.hidden)
        return self.model.caption_logits(self.decoder.norm(x[:, 0])).log_softmax(-1)

    def reorder(self, rows):
        self.own = [tuple(t[rows] for t in own) for own in self.own]


def search(model, b, beams, length, first):
    """Ids and log-probability of each picture's best caption of `length` tokens."""
    x, pos, pad = model.cells(b["pixels"], b["pad_mask"])
    alone = model.model.encoder(x, pos, pad)
    n = len(x)
    device = x.device
    rows = torch.arange(n, device=device).repeat_interleave(beams)
    step = Step(model, alone[rows], pos[rows], pad[rows])
    # All beams start equal: only the first may go on at the first step.
    sums = torch.full((n, beams), -torch.inf, device=device)
    sums[:, 0] = 0
    last, ids = torch.full((n * beams,), first, device=device), torch.zeros(n * beams, 0, dtype=torch.long, device=device)
    for _ in range(length):
        scores = sums.view(-1, 1) + step(last)
        words = scores.shape[1]
        sums, best = scores.view(n, -1).topk(beams)
        kept = (best // words + torch.arange(n, device=device)[:, None] * beams).flatten()
        last = (best % words).flatten()
        ids = torch.cat((ids[kept], last[:, None]), 1)
        if beams > 1:
            step.reorder(kept)
    return ids.view(n, beams, -1)[:, 0], sums[:, 0]
