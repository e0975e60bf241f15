// The version of the oneDNN headers this build was compiled with, as text.
#pragma once

#include <oneapi/dnnl/dnnl_version.h>

#define MFS_TEXT_OF(x) #x
#define MFS_TEXT(x) MFS_TEXT_OF(x)
#define MFS_ONEDNN_VERSION MFS_TEXT(DNNL_VERSION_MAJOR) "." MFS_TEXT(DNNL_VERSION_MINOR) "." MFS_TEXT(DNNL_VERSION_PATCH)
