# The destinations of `cmake --install` and of the packages: the FHS, by GNUInstallDirs, and systemd's directories.
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
set(units atomdb.service atomdb.socket atomdb-http.socket)
foreach(unit ${units})
  configure_file(systemd/${unit}.in systemd/${unit} @ONLY)
  install(FILES "${CMAKE_CURRENT_BINARY_DIR}/systemd/${unit}" DESTINATION "${unit_dir}")
endforeach()

# The manual pages, the journal's catalog and the shell completion are generated from the tables of the daemon.
set(documents "${CMAKE_CURRENT_BINARY_DIR}/documents")
set(pages atomdb.8 atomdb.conf.5 atomdb-commands.7)
list(TRANSFORM pages PREPEND "${documents}/" OUTPUT_VARIABLE made)
list(TRANSFORM pages PREPEND packaging/man/ OUTPUT_VARIABLE templates)
list(TRANSFORM templates APPEND .in)
list(APPEND made "${documents}/atomdb.catalog" "${documents}/atomdb.bash")
file(GLOB command_rows CONFIGURE_DEPENDS src/commands/*/*.def)
add_custom_command(OUTPUT ${made}
  COMMAND "${CMAKE_CURRENT_SOURCE_DIR}/packaging/documents" "${documents}" ${PROJECT_VERSION} "${unit_dir}"
  DEPENDS packaging/documents packaging/tables.py ${templates} src/daemon/arguments.def src/daemon/options.def
    src/observe/metrics.def include/atomdb/util/log_events.def include/atomdb/commands/commands.def ${command_rows}
  VERBATIM)
add_custom_target(documents ALL DEPENDS ${made})

install(TARGETS atomdb RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(FILES conf/atomdb.conf DESTINATION "${CMAKE_INSTALL_FULL_SYSCONFDIR}/atomdb")
install(FILES systemd/atomdb.sysusers DESTINATION lib/sysusers.d RENAME atomdb.conf)
install(FILES "${documents}/atomdb.catalog" DESTINATION lib/systemd/catalog)
install(FILES "${documents}/atomdb.bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions" RENAME atomdb)
install(FILES README.md DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(FILES conf/fail2ban/filter.conf conf/fail2ban/jail.conf DESTINATION "${CMAKE_INSTALL_DOCDIR}/fail2ban")
install(FILES packaging/prometheus/scrape.yml packaging/prometheus/rules.yml DESTINATION "${CMAKE_INSTALL_DOCDIR}/prometheus")
install(FILES packaging/grafana/atomdb.json DESTINATION "${CMAKE_INSTALL_DOCDIR}/grafana")

# gzip -n stores no time and no name, so that the same source gives the same bytes.
foreach(page ${pages})
  string(REGEX REPLACE ".*\\." "" section ${page})
  add_custom_command(OUTPUT "${documents}/${page}.gz"
    COMMAND gzip -9nkf "${documents}/${page}" DEPENDS "${documents}/${page}" VERBATIM)
  list(APPEND compressed "${documents}/${page}.gz")
  install(FILES "${documents}/${page}.gz" DESTINATION "${CMAKE_INSTALL_MANDIR}/man${section}")
endforeach()
add_custom_target(compressed ALL DEPENDS ${compressed})

include(packaging/package.cmake)
