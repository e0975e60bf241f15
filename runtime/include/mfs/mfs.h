/* MFS: one tap on a photo -> mask of the tapped object. C99 interface of the inference runtime.
 *
 * Model:   weights, checked and ready; immutable; share it between threads and sessions.
 * Session: one image size's plan, memory and thread team; belongs to one thread at a time.
 *
 *   mfs_error error;
 *   mfs_model* model = NULL;
 *   mfs_session* session = NULL;
 *   if (mfs_model_load("mfs-small.safetensors", NULL, &model, &error) != MFS_OK ||
 *       mfs_session_create(model, NULL, &session, &error) != MFS_OK) { puts(error.message); return 1; }
 *   mfs_image image = {rgb, width, height, 0, MFS_RGB};
 *   mfs_point tap = {214, 180};
 *   mfs_outputs out = {0};
 *   out.struct_size = sizeof out;
 *   out.mask = mask;                         // width * height bytes, 255 = object
 *   if (mfs_session_run(session, &image, &tap, 1, &out, &error) != MFS_OK) puts(error.message);
 *   mfs_session_destroy(session);
 *   mfs_model_destroy(model);
 *
 * Option and output structs start with struct_size: set it to sizeof; fields left zero mean the default. The other structs are
 * fixed for an ABI version.
 * No function prints, aborts or throws. `error` may be NULL. Objects of a failed call are not created.
 */
#ifndef MFS_MFS_H
#define MFS_MFS_H

#include <stddef.h>
#include <stdint.h>

#if defined(MFS_STATIC) || !defined(__GNUC__)
#define MFS_API
#else
#define MFS_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define MFS_ABI_VERSION 1

typedef struct mfs_model mfs_model;
typedef struct mfs_session mfs_session;

typedef enum mfs_status {
  MFS_OK = 0,
  MFS_INVALID_ARGUMENT = 1, /* a size, pointer, tap or option that cannot be */
  MFS_BAD_WEIGHTS = 2,      /* the weights file is missing, damaged or not for this version */
  MFS_NO_DEVICE = 3,        /* the device asked for is not there */
  MFS_UNSUPPORTED = 4,      /* valid, but this build or device cannot do it */
  MFS_OUT_OF_MEMORY = 5,
  MFS_INTERNAL = 6
} mfs_status;

/* One sentence for people, zero-terminated. */
typedef struct mfs_error {
  char message[512];
} mfs_error;

/* 8 bits per channel. Grey counts as R = G = B; the alpha of RGBA is ignored by the network and kept by cut-outs. */
typedef enum mfs_pixel_format { MFS_RGB = 0, MFS_RGBA = 1, MFS_BGR = 2, MFS_GREY = 3 } mfs_pixel_format;

/* A decoded, upright photo in host memory. row_stride in bytes; 0 means rows follow each other without gaps. */
typedef struct mfs_image {
  const uint8_t* data;
  int32_t width, height;
  int64_t row_stride;
  mfs_pixel_format format;
} mfs_image;

/* Photo pixels, fractions allowed; x to the right, y down; (0, 0) is the centre of the top-left pixel. */
typedef struct mfs_point {
  float x, y;
} mfs_point;

typedef void (*mfs_log_fn)(void* user, const char* message);

typedef struct mfs_model_options {
  size_t struct_size;
  const char* device;    /* "auto" (default), "cpu", "cuda" or "cuda:N" */
  const char* precision; /* "auto" (default), "f32" or "bf16" */
  int32_t threads;       /* host threads of a session's run; 0 = all the process may use */
  mfs_log_fn log;        /* receives what `auto` chose and why; may be NULL */
  void* log_user;
} mfs_model_options;

typedef struct mfs_session_options {
  size_t struct_size;
  int32_t network_width, network_height; /* multiples of 8 (VGG: 32), 64 or more; each: 0 = as trained */
  int32_t native_size;                   /* non-zero: each side of the photo, rounded to such a multiple (at least 64) */
} mfs_session_options;

/* What a run shall produce; a NULL pointer means "not this" (both NULL: the network runs, nothing is written). Strides in
 * bytes, 0 = no gaps between rows. */
typedef struct mfs_outputs {
  size_t struct_size;
  uint8_t* mask; /* 255 where probability > threshold, else 0 */
  int64_t mask_row_stride;
  float* probability; /* 0..1 */
  int64_t probability_row_stride;
  float threshold; /* 0 < t < 1; 0 = 0.5 */
} mfs_outputs;

/* Milliseconds of the last run. */
typedef struct mfs_timings {
  double prepare; /* photo and taps to network input */
  double infer;   /* network input to logit */
  double finish;  /* logit to mask and probability at the photo's size */
} mfs_timings;

/* One prepared operation of the network. Strings live as long as the session's plan (until a run at another size). */
typedef struct mfs_profile_entry {
  const char* name;      /* "layer3.5.conv2" */
  const char* operation; /* "conv 3x3 d2" */
  const char* algorithm; /* "brgconv:avx512_core_bf16", empty for our own kernels */
  double microseconds;   /* median over the profiled runs */
  int64_t bytes;         /* read + written, each once */
  int64_t flops;
} mfs_profile_entry;

typedef struct mfs_model_info {
  const char* variant;   /* "resnet-multi" */
  const char* device;    /* "cpu" */
  const char* precision; /* "bf16" */
  int32_t network_width, network_height;
  int32_t uses_taps; /* 0 for networks without guidance */
  int32_t threads;
  int64_t parameters;
} mfs_model_info;

MFS_API uint32_t mfs_abi_version(void);
MFS_API const char* mfs_version(void);    /* "0.1.0" */
MFS_API const char* mfs_build_info(void); /* engines compiled in and their libraries, one line */

MFS_API mfs_status mfs_model_load(const char* path, const mfs_model_options* options, mfs_model** model, mfs_error* error);
MFS_API void mfs_model_destroy(mfs_model* model); /* after its sessions; NULL is fine */
/* Strings live as long as the model. */
MFS_API mfs_status mfs_model_get_info(const mfs_model* model, mfs_model_info* info, mfs_error* error);

/* Plans the network for the session's size and allocates everything a run needs, except for `native_size`, where the first
 * run at a size does. */
MFS_API mfs_status mfs_session_create(mfs_model* model, const mfs_session_options* options, mfs_session** session,
                                      mfs_error* error);
MFS_API void mfs_session_destroy(mfs_session* session); /* NULL is fine */

/* Blocking. Taps lie inside the photo: -0.5 <= x <= width - 0.5, y likewise; tap_count is at least 1 unless the network uses
 * no taps. */
MFS_API mfs_status mfs_session_run(mfs_session* session, const mfs_image* image, const mfs_point* taps, size_t tap_count,
                                   const mfs_outputs* outputs, mfs_error* error);
MFS_API mfs_timings mfs_session_timings(const mfs_session* session);
MFS_API size_t mfs_session_memory_bytes(const mfs_session* session); /* arena and scratch, without the shared weights */

/* While on, every run times each operation (a clock reading per operation). */
MFS_API void mfs_session_set_profiling(mfs_session* session, int32_t on);
/* Up to `capacity` entries; returns how many there are. */
MFS_API size_t mfs_session_profile(const mfs_session* session, mfs_profile_entry* entries, size_t capacity);

/* A single-channel float map of the photo's size, as mfs_outputs.probability. */
typedef struct mfs_map {
  const float* data;
  int32_t width, height;
  int64_t row_stride; /* bytes; 0 = no gaps */
} mfs_map;

/* Effects. `threads` 0 = all. dst has the photo's size, `dst_stride` bytes per row (0 = no gaps). */
/* dst: RGBA, the object cut out with a soft edge. */
MFS_API mfs_status mfs_cut_out(const mfs_image* image, const mfs_map* probability, int32_t threads, uint8_t* dst,
                               int64_t dst_stride, mfs_error* error);
/* dst: RGB, background blurred with a disc of `radius` photo pixels; the subject does not bleed into it. */
MFS_API mfs_status mfs_blur_background(const mfs_image* image, const mfs_map* probability, float radius, int32_t threads,
                                       uint8_t* dst, int64_t dst_stride, mfs_error* error);
/* dst: RGB, object tinted and outlined, taps drawn. */
MFS_API mfs_status mfs_overlay(const mfs_image* image, const mfs_map* probability, float threshold, const mfs_point* taps,
                               size_t tap_count, int32_t threads, uint8_t* dst, int64_t dst_stride, mfs_error* error);

#ifdef __cplusplus
}
#endif
#endif
