// What the compiler compiles: the formatter of libstb-dev, which needs no more of a C library than the two headers beside this file.
#define stbsp__uintptr unsigned long
#define STB_SPRINTF_IMPLEMENTATION
#include "stb_sprintf.h"
