#!/usr/bin/env bash
# A stub libcuda.so.1 for machines without a GPU: sglang's kernel library asks the loader for these symbols even when
# it serves on the CPU. Each returns an error.
# Usage: stub_libcuda.sh DIR
set -euo pipefail
dir=$1
symbols=(cuCtxFromGreenCtx cuCtxPopCurrent_v2 cuCtxPushCurrent_v2 cuDevResourceGenerateDesc
  cuDevSmResourceSplitByCount cuDeviceGetDevResource cuDriverGetVersion cuGetErrorString cuGetProcAddress_v2
  cuGreenCtxCreate cuGreenCtxDestroy cuGreenCtxGetDevResource cuPointerGetAttribute cuStreamCreate cuInit)
mkdir -p "$dir"
for symbol in "${symbols[@]}"; do
  echo "int $symbol(void) { return 100; }  /* CUDA_ERROR_NO_DEVICE */"
done > "$dir/stub.c"
gcc -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$dir/libcuda.so.1" "$dir/stub.c"
