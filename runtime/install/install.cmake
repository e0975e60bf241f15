# The library's install rules: one library, static or shared by BUILD_SHARED_LIBS, and what both kinds share. The other library is there
# by its component's name only: `cmake --install build --component shared`.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/mfs)
set(config_dir ${PROJECT_BINARY_DIR}/package)

set(static_only EXCLUDE_FROM_ALL)
set(shared_only EXCLUDE_FROM_ALL)
if(BUILD_SHARED_LIBS)
  set(shared_only "")
else()
  set(static_only "")
endif()
install(TARGETS mfs EXPORT mfs_static DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT static ${static_only})
install(EXPORT mfs_static NAMESPACE mfs:: FILE mfsStatic.cmake DESTINATION ${package_dir} COMPONENT static ${static_only})
install(TARGETS mfs_shared EXPORT mfs_shared DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT shared ${shared_only})
install(EXPORT mfs_shared NAMESPACE mfs:: FILE mfsShared.cmake DESTINATION ${package_dir} COMPONENT shared ${shared_only})

install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/mfs DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(FILES ${PROJECT_SOURCE_DIR}/weights/mfs-small.safetensors ${PROJECT_SOURCE_DIR}/weights/mfs-small.md
  DESTINATION ${CMAKE_INSTALL_DATADIR}/mfs COMPONENT weights)
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT licence)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/tools/examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documents)

# find_package(mfs)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/mfsConfig.cmake.in ${config_dir}/mfsConfig.cmake
  INSTALL_DESTINATION ${package_dir} PATH_VARS CMAKE_INSTALL_DATADIR)
write_basic_package_version_file(${config_dir}/mfsConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${config_dir}/mfsConfig.cmake ${config_dir}/mfsConfigVersion.cmake DESTINATION ${package_dir}
  COMPONENT development)

# pkg-config. `--static` adds what libmfs.a needs; paths start at the file itself, so that the prefix may move.
set(pc_dir ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH pc_prefix ${pc_dir} ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
foreach(dir LIBDIR INCLUDEDIR DATADIR)
  file(RELATIVE_PATH pc_${dir} ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_${dir}})
endforeach()
set(pc_private "")
if(NOT BUILD_SHARED_LIBS)
  if(MFS_CPU)
    string(APPEND pc_private " -ldnnl")
  endif()
  if(MFS_CUDA_ENGINE)
    string(APPEND pc_private " -L${CUDAToolkit_LIBRARY_DIR} -lcudart_static -ldl -lrt -lpthread")
  endif()
  string(APPEND pc_private " -lgomp -lstdc++ -lm")
endif()
configure_file(${CMAKE_CURRENT_LIST_DIR}/mfs.pc.in ${config_dir}/mfs.pc @ONLY)
install(FILES ${config_dir}/mfs.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
