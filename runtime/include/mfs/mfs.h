/* MFS: one tap on a photo -> mask of the tapped object. C99 interface of the inference runtime. This header is its manual.
 *
 * Model:   weights, checked and ready for one device; immutable; any number of sessions and threads share it.
 * Session: one user of a model: plan, memory and, on a GPU, graphs for its network size. One per thread or stream.
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
 * Weights come with the package: `pkg-config --variable=weights mfs`, or mfs_WEIGHTS after find_package(mfs).
 *
 * Structs. Those that start with struct_size grow with later versions: set it to sizeof; fields left zero mean the default, and
 * a library older than the program ignores those that it does not know. The other structs are fixed for an ABI version. Sizes
 * are pixels, row strides bytes; a row stride of 0 means no gaps.
 *
 * Errors. Every call that can fail returns a code and, where `error` is not NULL, one sentence for people. No function prints,
 * aborts or throws; a call that fails leaves its session usable and creates no object, and its outputs are unspecified.
 *
 * Threads. A model may be used by several threads at once. A session belongs to one thread at a time: a call that meets another
 * in the same session fails with MFS_INVALID_ARGUMENT and does nothing. Destroy a session when no call is under way in it.
 * Runs of one thread that uses OpenMP itself share its worker threads.
 *
 * Memory and time. What a session needs is allocated when it is created, plus once per photo size that is larger than any
 * before, unless max_width and max_height say at creation what may come. From then on a run allocates nothing, takes no lock,
 * and waits for the GPU only where it is called blocking. (On the CPU, oneDNN and OpenMP allocate a little inside their calls.)
 * Two runs of the same photo and taps give the same bits.
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

/* Changes when a program must be compiled again. Compare with mfs_abi_version() of the library that was found. */
#define MFS_ABI_VERSION 1

typedef struct mfs_model mfs_model;
typedef struct mfs_session mfs_session;

typedef enum mfs_status {
  MFS_OK = 0,
  MFS_INVALID_ARGUMENT = 1, /* a size, pointer, tap or option that cannot be; a session in use by another thread */
  MFS_BAD_WEIGHTS = 2,      /* the weights file is missing, damaged, changed since loading or not for this version */
  MFS_NO_DEVICE = 3,        /* the device asked for is not there */
  MFS_UNSUPPORTED = 4,      /* valid, but this build or device cannot do it */
  MFS_OUT_OF_MEMORY = 5,
  MFS_INTERNAL = 6
} mfs_status;

/* One sentence for people, zero-terminated, cut at its size. Empty after success. */
typedef struct mfs_error {
  char message[512];
} mfs_error;

/* The version that this header belongs to is in MFS_ABI_VERSION, that of the library in the first of these. */
MFS_API uint32_t mfs_abi_version(void);
MFS_API const char* mfs_version(void);    /* "0.1.0" */
MFS_API const char* mfs_build_info(void); /* engines compiled in and their libraries, one line */

/* ---- Photos, taps, results ------------------------------------------------------------------------------------------------
 */

/* 8 bits per channel. Grey counts as R = G = B; the alpha of RGBA is ignored by the network and kept by cut-outs. */
typedef enum mfs_pixel_format { MFS_RGB = 0, MFS_RGBA = 1, MFS_BGR = 2, MFS_GREY = 3 } mfs_pixel_format;

/* A decoded, upright photo: sides of 1 to 2^20 pixels, at most 2^30 pixels, in host memory, or for mfs_session_enqueue() in the
 * device's. Rows are row_stride bytes apart: at least a row, at most 2^40. Only read, and only until the call (enqueued: its
 * work) is done. */
typedef struct mfs_image {
  const uint8_t* data;
  int32_t width, height;
  int64_t row_stride;
  mfs_pixel_format format;
} mfs_image;

/* A tap on the object (foreground click): photo pixels, fractions allowed; x to the right, y down; (0, 0) is the centre of the
 * top-left pixel. Inside means -0.5 <= x <= width - 0.5, y likewise. Taps become the guidance map of the paper's Section 3.3,
 * drawn at the network's size; several taps count together, each marking the same object. */
typedef struct mfs_point {
  float x, y;
} mfs_point;

/* What a run shall produce, at the photo's size; a NULL pointer means "not this" (both NULL: the network runs, nothing is
 * written). In host memory, or for mfs_session_enqueue() in the device's. */
typedef struct mfs_outputs {
  size_t struct_size;
  uint8_t* mask;                  /* 255 where probability > threshold, else 0 */
  int64_t mask_row_stride;        /* >= width */
  float* probability;             /* 0..1, of belonging to the tapped object */
  int64_t probability_row_stride; /* >= 4 * width, a multiple of 4 */
  float threshold;                /* 0 < t < 1; 0 = 0.5 */
  int32_t reserved;               /* 0 */
} mfs_outputs;

/* ---- Model ----------------------------------------------------------------------------------------------------------------
 */

/* `message` is a sentence, valid during the call. Called by the thread that loads or plans, while it does; must not call MFS.
 */
typedef void (*mfs_log_fn)(void* user, const char* message);

typedef struct mfs_model_options {
  size_t struct_size;
  const char* device;    /* "auto" (default), "cpu", "cuda" or "cuda:N"; only "auto" falls back to the CPU */
  const char* precision; /* "auto" (default), "f32", "bf16", "f16", "int8" or "fp8", as far as the device offers it: GPUs f16
                            and bf16, those of compute capability 9.0 int8 and fp8; the CPU f32, int8 and, with AVX-512, bf16.
                            "auto" is never int8 or fp8, which need calibrated weights (below), as the shipped ones are */
  int32_t threads;       /* host threads of a session's run, the calling one included; 0 = all the process may use */
  mfs_log_fn log;        /* what `auto` chose and why, what was planned; NULL = nobody. Must outlive model and sessions */
  void* log_user;
} mfs_model_options;

/* Reads and checks a weights file (safetensors with MFS metadata, made by weights/convert.py). The file stays open: sizes that
 * are planned later read it again. If it has been changed by then, they fail with MFS_BAD_WEIGHTS and a sentence (replacing it
 * by renaming another over it is not a change); plans that exist keep working. Thread-safe. */
MFS_API mfs_status mfs_model_load(const char* path, const mfs_model_options* options, mfs_model** model, mfs_error* error);

/* NULL is fine. Sessions that still exist keep what they need of it. */
MFS_API void mfs_model_destroy(mfs_model* model);

typedef struct mfs_model_info {
  const char* variant;   /* of the paper's networks: "resnet-multi" */
  const char* device;    /* "cpu", "cuda:0" */
  const char* precision; /* of activations and weights: "bf16"; "int8" or "fp8": of most convolutions, the rest is
                            f32 or, on a GPU, f16 */
  int32_t network_width, network_height; /* as trained */
  int32_t uses_taps;                     /* 0 for networks without guidance, whose taps are ignored */
  int32_t threads;
  int64_t parameters;
} mfs_model_info;

/* Strings live as long as the model. */
MFS_API mfs_status mfs_model_get_info(const mfs_model* model, mfs_model_info* info, mfs_error* error);

/* ---- Session --------------------------------------------------------------------------------------------------------------
 */

typedef struct mfs_session_options {
  size_t struct_size;
  int32_t network_width,
      network_height;            /* the photo is resized to this: multiples of 8 (VGG: 32), 64 to 8192; each: 0 = as trained */
  int32_t native_size;           /* non-zero: the photo's size, each side rounded to such a multiple, instead; a run whose photo
                                    changes it plans again */
  int32_t max_batch;             /* most photos of one call, 1 to 64; 0 = 1 */
  int32_t max_width, max_height; /* largest photo, both or neither: memory for it is allocated at creation, a larger one is an
                                    error. 0 = any; memory then grows with the largest photo so far */
  int32_t device_photos_only; /* CUDA only: mfs_session_enqueue() alone will be called: no memory for photos on their way from
                                 the host; mfs_session_run() is then an error */
  void* memory;               /* the caller's memory instead of the session's own: mfs_memory.bytes of it, aligned to
                                 mfs_memory.alignment; host memory for the CPU, device memory for CUDA; used until the session is
                                 destroyed. Needs max_width and max_height, not native_size */
  size_t memory_bytes;
  int32_t zoom_in; /* non-zero: a run looks twice, the second time at the surroundings of what it found (mfs_outputs.threshold
                      decides), which then fill the network's input: finer outlines and small objects, for up to twice the time.
                      Outside them the first look's result stays. If all photos of a call are filled by what was found, one look
                      is enough. Not with native_size or device_photos_only; mfs_session_enqueue() is then an error. Profiles
                      and observed ranges are of both looks; more taps than 256 a photo are memory once more */
  int32_t refine;  /* non-zero: outlines follow the photo's edges: the probability is filtered with the photo as its guide
                      (guided upsampling) instead of interpolated, and can be 0 or 1. Takes time and memory of its own that grow
                      with the photo, far less than the network's for photos of a camera */
} mfs_session_options;

/* Plans the network for the session's size and max_batch photos, and allocates everything that their runs need (native_size:
 * the first run does). Weights are packed once per model: the first session takes the longest. */
MFS_API mfs_status mfs_session_create(mfs_model* model, const mfs_session_options* options, mfs_session** session,
                                      mfs_error* error);

/* NULL is fine. On a GPU: only after what was enqueued is done. */
MFS_API void mfs_session_destroy(mfs_session* session);

typedef struct mfs_memory {
  size_t bytes;        /* activations, scratch and, on a GPU, photos and results on their way: host memory for the CPU, device
                          memory for CUDA. Weights are the model's */
  size_t alignment;    /* of the caller's memory */
  size_t pinned_bytes; /* CUDA: host memory for copies, never the caller's */
} mfs_memory;

/* What a session with these options would hold, known without creating it (which packs the weights, if no session has so far).
 * Without max_width and max_height: less what photos need in addition. Not for native_size. */
MFS_API mfs_status mfs_session_memory_needed(mfs_model* model, const mfs_session_options* options, mfs_memory* memory,
                                             mfs_error* error);

/* What the session holds now: bytes and alignment as above, the caller's memory included. */
MFS_API size_t mfs_session_memory_bytes(const mfs_session* session);

/* Makes the first real run as quick as all others: plans for `batch` photos of this size where that is still to be done,
 * allocates what they need, and runs them once, blank. */
MFS_API mfs_status mfs_session_warm_up(mfs_session* session, int32_t width, int32_t height, int32_t batch, mfs_error* error);

/* One photo, blocking, in host memory. tap_count is at least 1 unless the network uses no taps; at most 256 on a GPU. */
MFS_API mfs_status mfs_session_run(mfs_session* session, const mfs_image* image, const mfs_point* taps, size_t tap_count,
                                   const mfs_outputs* outputs, mfs_error* error);

/* One photo of several: what mfs_session_run() takes. */
typedef struct mfs_request {
  const mfs_image* image;
  const mfs_point* taps;
  size_t tap_count;
  const mfs_outputs* outputs;
} mfs_request;

/* `count` photos, 1 to max_batch, of any sizes (native_size: of one network size) in one pass through the network; blocking, in
 * host memory. The first run of a count other than max_batch plans for it. All requests are checked before any work begins. */
MFS_API mfs_status mfs_session_run_batch(mfs_session* session, const mfs_request* requests, size_t count, mfs_error* error);

/* CUDA only: the same with photos and outputs in device memory, queued in `stream` (a cudaStream_t of the session's device,
 * NULL for the default one), which may be captured into a graph of the caller's. Returns at once, never waits, never allocates:
 * photo sizes above max_width x max_height, or above what mfs_session_warm_up() was called for, and counts that are neither
 * max_batch nor warmed up are errors. Requests and taps are copied; a captured graph repeats the taps it was captured with, and
 * must not run any more once the session is destroyed or, without max_width, was run or warmed up for a larger photo. A
 * session's runs use the same memory: queue them in one stream, or make their streams wait for one another. Timings and
 * profiles are of blocking runs. */
MFS_API mfs_status mfs_session_enqueue(mfs_session* session, void* stream, const mfs_request* requests, size_t count,
                                       mfs_error* error);

/* Milliseconds of the last blocking run, all its photos (and with zoom_in both looks) together. */
typedef struct mfs_timings {
  double prepare; /* photo and taps to network input */
  double infer;   /* network input to logit */
  double finish;  /* logit to mask and probability at the photo's size */
} mfs_timings;
MFS_API mfs_timings mfs_session_timings(const mfs_session* session);

/* One prepared operation of the network. Strings live until the session plans again or is destroyed. */
typedef struct mfs_profile_entry {
  const char* name;      /* "layer3.5.conv2" */
  const char* operation; /* "conv 3x3 d2" */
  const char* algorithm; /* "brgconv:avx512_core_bf16", empty for our own kernels */
  double microseconds;   /* median over the profiled runs, of the last 1000 at most */
  int64_t bytes;         /* read + written, each once */
  int64_t flops;
} mfs_profile_entry;

/* While on, every blocking run times each operation (CPU: a clock reading per operation; GPU: each begins when the one before
 * has ended, which takes longer than a run does without). */
MFS_API void mfs_session_set_profiling(mfs_session* session, int32_t on);
/* Up to `capacity` entries of the plan that ran last; returns how many there are. */
MFS_API size_t mfs_session_profile(const mfs_session* session, mfs_profile_entry* entries, size_t capacity);

/* ---- Calibration for int8 and fp8 -----------------------------------------------------------------------------------------
 */

/* While on, every blocking run also gathers how large the network's activations get, which makes it slower. Only sessions that
 * run on the CPU in f32 can. Photos and taps should be like those that int8 will see: some dozens are enough. */
MFS_API mfs_status mfs_session_set_observing(mfs_session* session, int32_t on, mfs_error* error);
/* Writes a copy of the model's weights file with the ranges of all photos observed so far: what "int8" and "fp8" need. The file
 * appears complete or not at all, and replaces one that is there. */
MFS_API mfs_status mfs_session_write_calibrated(mfs_session* session, const char* path, mfs_error* error);

/* ---- Effects: what people do with a mask ----------------------------------------------------------------------------------
 */

/* A single-channel float map of the photo's size, as mfs_outputs.probability. */
typedef struct mfs_map {
  const float* data;
  int32_t width, height;
  int64_t row_stride;
} mfs_map;

/* On the CPU, in host memory, with `threads` threads (0 = all). dst has the photo's size; rows are dst_stride bytes apart (0 =
 * no gaps). */
/* dst: RGBA, the object cut out with a soft edge. */
MFS_API mfs_status mfs_cut_out(const mfs_image* image, const mfs_map* probability, int32_t threads, uint8_t* dst,
                               int64_t dst_stride, mfs_error* error);
/* dst: RGB, background blurred with a disc of `radius` photo pixels; the subject does not bleed into it. */
MFS_API mfs_status mfs_blur_background(const mfs_image* image, const mfs_map* probability, float radius, int32_t threads,
                                       uint8_t* dst, int64_t dst_stride, mfs_error* error);
/* dst: RGB, object (probability > threshold; 0 = 0.5) tinted and outlined, those taps drawn that lie in the photo. */
MFS_API mfs_status mfs_overlay(const mfs_image* image, const mfs_map* probability, float threshold, const mfs_point* taps,
                               size_t tap_count, int32_t threads, uint8_t* dst, int64_t dst_stride, mfs_error* error);

#ifdef __cplusplus
}
#endif
#endif
