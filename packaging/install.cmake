# Where `cmake --install` puts things: the FHS, by way of GNUInstallDirs, and where systemd looks for units.
set(ATOMDB_UNIT_DIR "" CACHE PATH "Directory of systemd units; empty: the system's for the prefix /usr, else lib/systemd/system")
if(ATOMDB_UNIT_DIR)
  set(unit_dir "${ATOMDB_UNIT_DIR}")
elseif(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  pkg_get_variable(unit_dir systemd systemdsystemunitdir)
endif()
if(NOT unit_dir)
  set(unit_dir lib/systemd/system)
endif()

set(ATOMDB_CONF "${CMAKE_INSTALL_FULL_SYSCONFDIR}/atomdb/atomdb.conf")
configure_file(systemd/atomdb.service.in systemd/atomdb.service @ONLY)

install(TARGETS atomdb RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/systemd/atomdb.service" DESTINATION "${unit_dir}")
install(FILES conf/atomdb.conf DESTINATION "${CMAKE_INSTALL_FULL_SYSCONFDIR}/atomdb")
install(FILES README.md LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
