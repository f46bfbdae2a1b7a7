"""E2E-VLP: one encoder over image and text, one decoder for objects and captions."""
import torch
import torch.nn.functional as F
from torch import nn

from layers import Decoder, Encoder, Holder, MlmHead, TextEmbedding, resize_mask, sine_positions
from losses import cross_entropy, set_losses
from resnet import ResNet


class E2eVlp(nn.Module):
    def __init__(self, size, shape):
        """`size`: what the case says; `shape`: what only the weights know (see `weights.shapes`)."""
        super().__init__()
        width, heads, inner = size["width"], size["heads"], size["ffn"]
        backbone = ResNet(**size["backbone"])
        modality = nn.Parameter(torch.zeros(width)) if size.get("modality") else None
        self.model = Holder(
            backbone=backbone, input_proj=nn.Linear(backbone.channels, width),
            words=TextEmbedding(shape["words"], shape["positions"], shape["types"], width), modality=modality,
            encoder=Encoder(size["encoder"], width, heads, inner), decoder=Decoder(size["decoder"], width, heads, inner))
        boxes = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 4)])
        head = Holder(**{"class": nn.Linear(width, shape["classes"] + 1)})
        head.attribute = nn.Linear(width, shape["attributes"]) if shape["attributes"] else None
        self.objectives = Holder(
            itm=Holder(head=nn.Linear(width, 2)), mlm=MlmHead(width, shape["words"], tied=False),
            detection=Holder(query_embed=nn.Parameter(torch.zeros(shape["queries"], width)),
                             heads=nn.ModuleList([head]), box_head=Holder(layers=boxes)),
            caption=Holder(bias=nn.Parameter(torch.zeros(shape["words"]))))

    def image_tokens(self, pixels, pad):
        """Projected image tokens (batch, tokens, width), their positions and padding."""
        m = self.model
        x = m.backbone(pixels)
        pad = resize_mask(pad, x.shape[-2:])
        x = m.input_proj(x.flatten(2).transpose(1, 2))
        x = x if m.modality is None else x + m.modality
        return x, sine_positions(pad, x.shape[-1]), pad.flatten(1)

    def encode_image(self, pixels, pad):
        """Memory of the image-only pass, with its positions and padding."""
        x, pos, pad = self.image_tokens(pixels, pad)
        return self.model.encoder(x, pos, pad), pos, pad

    def joint(self, x, pos, pad, ids, text_pad):
        """States of the text in the joint pass."""
        text = self.model.words(ids)
        both = torch.cat((x, text), 1)
        pos = torch.cat((pos, torch.zeros_like(text)), 1)
        return self.model.encoder(both, pos, torch.cat((pad, text_pad), 1))[:, x.shape[1]:]

    def heads(self, states):
        """Class, attribute and box predictions of decoder states."""
        d = self.objectives.detection
        head, x = d.heads[0], states
        for layer in d.box_head.layers[:-1]:
            x = F.relu(layer(x))
        attributes = None if head.attribute is None else head.attribute(states)
        return getattr(head, "class")(states), attributes, d.box_head.layers[-1](x).sigmoid()

    def objects(self, memory, pos, pad):
        """Decoder states of the queries, one for each layer."""
        queries = self.objectives.detection.query_embed.expand(len(memory), -1, -1)
        return self.model.decoder(torch.zeros_like(queries), queries, None, memory, pos, pad)

    def caption_states(self, ids, text_pad, memory, pos, pad):
        length = ids.shape[1]
        later = torch.ones(length, length, dtype=torch.bool, device=ids.device).triu(1)
        return self.model.decoder(self.model.words(ids), None, later | text_pad[:, None, None], memory, pos, pad)[-1]

    def caption_logits(self, states):
        return F.linear(states, self.model.words.word.weight, self.objectives.caption.bias)

    def outputs(self, b):
        """Inference: ITM, MLM at every position of the text, objects of the last layer."""
        x, pos, pad = self.image_tokens(b["pixels"], b["pad_mask"])
        text = self.joint(x, pos, pad, b["ids"], b["text_mask"])
        memory = self.model.encoder(x, pos, pad)
        classes, attributes, boxes = self.heads(self.objects(memory, pos, pad)[-1])
        mlm = self.objectives.mlm(text, self.model.words.word.weight)
        out = {"itm": self.objectives.itm.head(text[:, 0]), "mlm": mlm, "class": classes, "boxes": boxes}
        return out if attributes is None else out | {"attribute": attributes}

    def pair(self, b):
        """Inference: ITM alone."""
        x, pos, pad = self.image_tokens(b["pixels"], b["pad_mask"])
        text = self.joint(x, pos, pad, b["ids"], b["text_mask"])
        return {"itm": self.objectives.itm.head(text[:, 0])}

    def losses(self, b):
        """Every term, unweighted."""
        x, pos, pad = self.image_tokens(b["pixels"], b["pad_mask"])
        text = self.joint(x, pos, pad, b["ids"], b["text_mask"])
        memory = self.model.encoder(x, pos, pad)
        terms = {"itm": F.cross_entropy(self.objectives.itm.head(text[:, 0]), b["itm_labels"])}
        masked = b["mlm_labels"] >= 0
        logits = self.objectives.mlm(text[masked], self.model.words.word.weight)
        terms["mlm"] = cross_entropy(logits, b["mlm_labels"][masked])
        states = torch.stack(self.objects(memory, pos, pad))
        classes, attributes, boxes = self.heads(states)
        terms |= set_losses(classes, attributes, boxes, b["targets"])
        ids = b["caption_ids"]
        inputs, labels = ids[:, :-1], ids[:, 1:]
        states = self.caption_states(inputs, inputs == 0, memory, pos, pad)[labels != 0]
        terms["caption"] = cross_entropy(self.caption_logits(states), labels[labels != 0])
        return terms
