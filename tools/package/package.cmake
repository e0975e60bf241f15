# One Debian package with programs, shared library, headers, weights and manual pages: `cmake --workflow --preset deb`.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME mfs)
set(CPACK_PACKAGE_VENDOR "MFS")
set(CPACK_PACKAGE_CONTACT "MFS maintainers <maintainers@mfs.invalid>")
set(CPACK_PACKAGE_DESCRIPTION "MFS turns one tap on a photo into a mask of the tapped object, on the
CPU or a GPU. The package has the programs mfs_infer, mfs_eval and
mfs_calibrate, the library with its C and C++ interface, and small
trained weights.")
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL tools shared development weights documents debian)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/triggers)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/compress.cmake)

# What Debian asks of every package; the licence's text is there already.
install(FILES ${CMAKE_CURRENT_LIST_DIR}/copyright ${CMAKE_CURRENT_LIST_DIR}/changelog DESTINATION ${CMAKE_INSTALL_DOCDIR}
  COMPONENT debian EXCLUDE_FROM_ALL)
include(CPack)
