// SPDX-License-Identifier: Apache-2.0
// tests/native/undefined.c - compiled to an object that native_link() must refuse.
float sinf(float);
float class_0(float x);

float class_0(float x)
{
    return sinf(x) + 1;
}
