# libmfs.so from the objects of libmfs.a, and mfs::mfs, which names the one that BUILD_SHARED_LIBS asks for.
file(STRINGS ${PROJECT_SOURCE_DIR}/runtime/include/mfs/mfs.h abi REGEX "^#define MFS_ABI_VERSION [0-9]+$")
string(REGEX MATCH "[0-9]+" MFS_ABI_VERSION "${abi}")

set(exports ${PROJECT_SOURCE_DIR}/runtime/install/exports.map)
add_library(mfs_shared SHARED $<TARGET_OBJECTS:mfs>)
set_target_properties(mfs_shared PROPERTIES OUTPUT_NAME mfs EXPORT_NAME mfs SOVERSION ${MFS_ABI_VERSION} LINKER_LANGUAGE CXX
  LINK_DEPENDS ${exports})
target_link_options(mfs_shared PRIVATE -Wl,--version-script=${exports} -Wl,--as-needed)
if(NOT MFS_SANITIZE)
  target_link_options(mfs_shared PRIVATE -Wl,-z,defs)
endif()
target_link_libraries(mfs_shared PRIVATE mfs_options OpenMP::OpenMP_CXX)
if(MFS_CPU)
  target_link_libraries(mfs_shared PRIVATE ${MFS_DNNL_LIBRARY})
endif()
if(MFS_CUDA_ENGINE)
  target_sources(mfs_shared PRIVATE $<TARGET_OBJECTS:mfs_cuda_kernels>)
  target_link_libraries(mfs_shared PRIVATE CUDA::cudart_static)
endif()

foreach(library mfs mfs_shared)
  target_include_directories(${library} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/runtime/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  # Not in the installed package: there, mfsConfig.cmake asks for it, where the project uses C++ at all.
  target_compile_features(${library} INTERFACE $<BUILD_INTERFACE:cxx_std_20>)
endforeach()
target_link_libraries(mfs INTERFACE $<INSTALL_INTERFACE:mfs::static_dependencies>)

if(BUILD_SHARED_LIBS)
  add_library(mfs::mfs ALIAS mfs_shared)
else()
  add_library(mfs::mfs ALIAS mfs)
endif()
