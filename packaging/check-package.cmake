# cpack runs this after it has made the packages. It removes a package without the dependencies of the program, and
# fails.
function(check package pattern)
  execute_process(COMMAND ${ARGN} "${package}" OUTPUT_VARIABLE dependencies ERROR_VARIABLE dependencies)
  if(NOT dependencies MATCHES "${pattern}")
    file(REMOVE "${package}")
    message(FATAL_ERROR "the package lacks its dependencies; it has: ${dependencies}")
  endif()
endfunction()

foreach(package IN LISTS CPACK_PACKAGE_FILES)
  if(package MATCHES "\\.deb$")
    check("${package}" "libc6 .*libmicrohttpd" dpkg-deb --show "--showformat=\${Depends}\n")
  elseif(package MATCHES "\\.rpm$")
    check("${package}" "libc\\.so\\.6.*libmicrohttpd\\.so" rpm -qp --requires)
  endif()
endforeach()
