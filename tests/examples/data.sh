#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The test images and labels as arrays: data.sh BIN OUT
set -eu
bin=$1
out=$2
data=/usr/share/datasets/fashion-mnist
mkdir -p "$out"
for form in images vectors; do
    gzip -dc $data/t10k-images-idx3-ubyte.gz | "$bin/fashion" $form "$out/$form.npy"
done
gzip -dc $data/t10k-labels-idx1-ubyte.gz | "$bin/fashion" labels "$out/labels.npy"
