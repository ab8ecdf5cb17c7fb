#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test images and labels as arrays: data.sh BIN OUT
set -eu
bin=$1
out=$2
data=/usr/share/datasets/fashion-mnist
mkdir -p "$out"
gzip -dc $data/t10k-images-idx3-ubyte.gz | "$bin/fashion" images "$out/images.npy"
gzip -dc $data/t10k-labels-idx1-ubyte.gz | "$bin/fashion" labels "$out/labels.npy"
