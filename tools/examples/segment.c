/* segment_c WEIGHTS PHOTO.ppm X Y MASK.pgm: one tap, one mask. */
#include <mfs/mfs.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  if (argc != 6) return fputs("usage: segment_c WEIGHTS PHOTO.ppm X Y MASK.pgm\n", stderr), 2;
  int width, height;
  FILE* photo = fopen(argv[2], "rb");
  if (!photo || fscanf(photo, "P6 %d %d 255", &width, &height) != 2 || width < 1 || height < 1)
    return fprintf(stderr, "%s is not a binary 8-bit PPM\n", argv[2]), 1;
  size_t pixels = (size_t)width * (size_t)height;
  uint8_t *rgb = malloc(3 * pixels), *mask = malloc(pixels);
  if (!rgb || !mask || fgetc(photo) == EOF || fread(rgb, 3, pixels, photo) != pixels)
    return fprintf(stderr, "%s is too short, or too large\n", argv[2]), 1;
  fclose(photo);

  mfs_error error;
  mfs_model* model = NULL;
  mfs_session* session = NULL;
  mfs_image image = {rgb, width, height, 0, MFS_RGB};
  mfs_point tap = {strtof(argv[3], NULL), strtof(argv[4], NULL)};
  mfs_outputs outputs = {.struct_size = sizeof outputs, .mask = mask};
  if (mfs_model_load(argv[1], NULL, &model, &error) != MFS_OK ||
      mfs_session_create(model, NULL, &session, &error) != MFS_OK ||
      mfs_session_run(session, &image, &tap, 1, &outputs, &error) != MFS_OK)
    return fprintf(stderr, "%s\n", error.message), 1;
  mfs_session_destroy(session);
  mfs_model_destroy(model);

  FILE* out = fopen(argv[5], "wb");
  if (!out || fprintf(out, "P5 %d %d 255\n", width, height) < 0 || fwrite(mask, 1, pixels, out) != pixels || fclose(out))
    return fprintf(stderr, "cannot write %s\n", argv[5]), 1;
  return 0;
}
