# Run by cpack between installing and packing: Debian wants manual pages and change logs compressed, without a time stamp.
file(GLOB_RECURSE pages ${CPACK_TEMPORARY_DIRECTORY}/mfs_*.1 ${CPACK_TEMPORARY_DIRECTORY}/changelog)
foreach(page ${pages})
  execute_process(COMMAND gzip -9nf ${page} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
