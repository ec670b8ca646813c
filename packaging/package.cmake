# `cpack` in the build directory makes atomdb_VERSION_ARCH.deb, and an RPM if rpmbuild is installed. Configure with
# -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_INSTALL_SYSCONFDIR=/etc.
set(CPACK_PACKAGE_NAME atomdb)
set(CPACK_PACKAGE_VERSION "${PROJECT_VERSION}")
set(CPACK_PACKAGE_VENDOR AtomDB)
set(CPACK_PACKAGE_CONTACT "AtomDB developers <atomdb@example.org>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Redis-compatible in-memory database for many tenants")
set(CPACK_PACKAGE_DESCRIPTION
"AtomDB is a key-value database in memory for a host that many users share.
A secret opens a tenant: a private keyspace with its own databases, exact
LRU, expiry, quota, client list and statistics. Tenants cannot see, count,
flush or evict each other. Any Redis client works.
.
It runs as one systemd service, without privileges and in an empty network
namespace, and serves metrics for Prometheus.")
set(CPACK_PACKAGING_INSTALL_PREFIX "${CMAKE_INSTALL_PREFIX}")
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/packaging/check-tools.cmake")
set(CPACK_POST_BUILD_SCRIPTS "${CMAKE_CURRENT_SOURCE_DIR}/packaging/check-package.cmake")
set(CPACK_GENERATOR DEB)
find_program(ATOMDB_RPMBUILD rpmbuild)
if(ATOMDB_RPMBUILD)
  list(APPEND CPACK_GENERATOR RPM)
endif()
set(CPACK_RPM_PACKAGE_LICENSE Apache-2.0)
# By default RPM treats each file with an absolute path as configuration.
set(CPACK_RPM_USER_FILELIST "%config(noreplace) ${ATOMDB_CONF}")
foreach(unit ${units})
  cmake_path(ABSOLUTE_PATH unit_dir BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" OUTPUT_VARIABLE absolute)
  list(APPEND CPACK_RPM_USER_FILELIST "%attr(0644,root,root) ${absolute}/${unit}")
endforeach()
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_REQUIRES systemd)
set(rpm "${CMAKE_CURRENT_SOURCE_DIR}/packaging/rpm")
set(CPACK_RPM_POST_INSTALL_SCRIPT_FILE "${rpm}/post")
set(CPACK_RPM_PRE_UNINSTALL_SCRIPT_FILE "${rpm}/preun")
set(CPACK_RPM_POST_UNINSTALL_SCRIPT_FILE "${rpm}/postun")
# The package does not own these directories of the system.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc /lib /lib/systemd /lib/systemd/system /usr/lib/sysusers.d
  /usr/lib/systemd /usr/lib/systemd/catalog /usr/lib/systemd/system /usr/share/bash-completion
  /usr/share/bash-completion/completions /usr/share/man /usr/share/man/man5 /usr/share/man/man7
  /usr/share/man/man8)

set(debian "${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "init-system-helpers (>= 1.54~), systemd")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "fail2ban, prometheus, redis-tools")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA "${debian}/conffiles;${debian}/postinst;${debian}/prerm;${debian}/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# Files that Debian requires in each package. In a git checkout, the date is that of the commit, so that the package is
# reproducible.
execute_process(COMMAND git -C "${CMAKE_CURRENT_SOURCE_DIR}" log -1 --format=%cD
  OUTPUT_VARIABLE changelog_date OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT changelog_date)
  set(changelog_date "Thu, 01 Jan 1970 00:00:00 +0000")
endif()
configure_file(packaging/debian/changelog.in documents/changelog @ONLY)
add_custom_command(OUTPUT "${documents}/changelog.gz"
  COMMAND gzip -9nkf "${documents}/changelog" DEPENDS "${documents}/changelog" VERBATIM)
add_custom_target(changelog ALL DEPENDS "${documents}/changelog.gz")
install(FILES "${documents}/changelog.gz" packaging/debian/copyright DESTINATION "${CMAKE_INSTALL_DOCDIR}")
include(CPack)
