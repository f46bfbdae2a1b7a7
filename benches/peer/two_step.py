"""Two steps, as in region-based systems: torchvision's Faster R-CNN gives 100 regions, a transformer reads them with the text."""
import torch
from torch import nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import batched_nms, clip_boxes_to_image

from layers import Encoder, TextEmbedding

REGIONS = 100
# Visual Genome's, as in bottom-up attention.
CLASSES = 1600
WORDS, POSITIONS = 30522, 512
# Overlap of two boxes of one class of which the less certain is dropped.
OVERLAP = 0.5
# Gain of the last norm of a residual branch, as in vlp's own random weights.
BRANCH = 0.3


class TwoStep(nn.Module):
    """`size`: backbone and transformer of the system that it is compared with. Weights are random."""

    def __init__(self, size):
        super().__init__()
        torch.manual_seed(1)
        width = size["width"]
        backbone = resnet_fpn_backbone(backbone_name=f"resnet{size['backbone']['depth']}", weights=None)
        self.detector = FasterRCNN(backbone, num_classes=CLASSES + 1)
        # With constants for norms the map would double at every block, and no proposal would look like a trained one's.
        for name, part in self.detector.backbone.named_modules():
            if name.endswith("bn3"):
                part.weight.fill_(BRANCH)
        self.feature = nn.Linear(self.detector.roi_heads.box_head.fc7.out_features, width)
        self.place, self.norm = nn.Linear(4, width), nn.LayerNorm(width)
        self.words = TextEmbedding(WORDS, POSITIONS, 2, width)
        self.encoder = Encoder(size["encoder"], width, size["heads"], size["ffn"], bert=True)
        self.head = nn.Linear(width, 2)

    def regions(self, pixels):
        """Pooled features (100, 1024) of the most certain regions, their boxes relative to the image, the number of proposals."""
        size, heads = tuple(pixels.shape[-2:]), self.detector.roi_heads
        maps = self.detector.backbone(pixels)
        proposals, _ = self.detector.rpn(ImageList(pixels, [size]), maps)
        features = heads.box_head(heads.box_roi_pool(maps, proposals, [size]))
        logits, deltas = heads.box_predictor(features)
        # The most probable class of each proposal; class 0 is the background.
        scores, classes = logits.softmax(-1)[:, 1:].max(-1)
        rows = torch.arange(len(classes), device=pixels.device)
        boxes = clip_boxes_to_image(heads.box_coder.decode(deltas, proposals)[rows, classes + 1], size)
        # What non-maximum suppression leaves comes first; others fill up to exactly 100.
        rank = scores.clone()
        rank[batched_nms(boxes, scores, classes, OVERLAP)] += 1
        best = rank.argsort(descending=True)
        best = best[torch.arange(REGIONS, device=pixels.device) % len(best)]
        height, width = size
        return features[best], boxes[best] / boxes.new_tensor([width, height, width, height]), len(boxes)

    def forward(self, b):
        features, boxes, _ = self.regions(b["pixels"])
        regions = self.norm(self.feature(features) + self.place(boxes))[None]
        text, pad = self.words(b["ids"]), b["text_mask"]
        pad = torch.cat((pad, pad.new_zeros(len(pad), REGIONS)), 1)
        states = self.encoder(torch.cat((text, regions), 1), None, pad)
        return {"itm": self.head(states[:, 0])}
