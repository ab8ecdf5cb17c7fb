#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the example classifiers on Fashion-MNIST and writes their weights as safetensors.

    /usr/bin/python3 examples/train/train.py [mlp] [residual] [lenet]

Needs Debian's python3-torch and dataset-fashion-mnist. Only people who want other weights run
it: the weights it made are in examples/weights. Seeds are fixed, but training is not bit
reproducible across versions of torch.
"""
import gzip
import json
import pathlib
import struct
import sys

import torch
from torch import nn

DATA = pathlib.Path("/usr/share/datasets/fashion-mnist")
OUT = pathlib.Path(__file__).resolve().parent.parent / "weights"


def idx(name):
    raw = gzip.decompress((DATA / name).read_bytes())
    rank = raw[3]
    shape = struct.unpack(f">{rank}I", raw[4 : 4 + 4 * rank])
    return torch.frombuffer(bytearray(raw[4 + 4 * rank :]), dtype=torch.uint8).reshape(shape)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(784, 128)
        self.fc2 = nn.Linear(128, 10)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(128, 128)
        self.fc2 = nn.Linear(128, 128)

    def forward(self, x):
        return torch.relu(x + self.fc2(torch.relu(self.fc1(x))))


class Residual(nn.Module):
    """784 -> 128, a residual block of two linear layers, 128 -> 10."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(784, 128)
        self.blocks = nn.ModuleList([Block()])
        self.head = nn.Linear(128, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x.flatten(1)))
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Lenet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5, padding=2)
        self.fc1 = nn.Linear(16 * 7 * 7, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.conv1(x)), 2)
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.fc3(torch.relu(self.fc2(x)))


def save(model, path):
    """The safetensors format: u64 length, JSON header, then the data, f32 little-endian."""
    header, blobs, offset = {}, [], 0
    for name, tensor in model.state_dict().items():
        blob = tensor.contiguous().numpy().tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def train(name, model, epochs):
    images = idx("train-images-idx3-ubyte.gz").float().div(255).unsqueeze(1)
    labels = idx("train-labels-idx1-ubyte.gz").long()
    test_images = idx("t10k-images-idx3-ubyte.gz").float().div(255).unsqueeze(1)
    test_labels = idx("t10k-labels-idx1-ubyte.gz").long()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            loss_of(model(images[batch]), labels[batch]).backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            right = (model(test_images).argmax(1) == test_labels).float().mean().item()
        print(f"{name}: epoch {epoch + 1}: test accuracy {100 * right:.2f} %", flush=True)
    OUT.mkdir(exist_ok=True)
    save(model, OUT / f"{name}.safetensors")


MODELS = {"mlp": (Mlp, 10), "residual": (Residual, 10), "lenet": (Lenet, 10)}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[1:] or MODELS:
        make, rounds = MODELS[wanted]
        torch.manual_seed(1)
        train(wanted, make(), rounds)
