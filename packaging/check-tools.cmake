# cpack runs this before it makes a package. It fails if the tools that find the dependencies are missing: without them,
# cpack would make a package without dependencies.
function(need tool package)
  find_program(found_${tool} ${tool})
  if(NOT found_${tool})
    message(FATAL_ERROR "${tool} is not installed, so the package would lack its dependencies: install ${package}; "
      "packaging/build-packages lists all packages")
  endif()
endfunction()

if(CPACK_GENERATOR STREQUAL "DEB")
  need(dpkg-shlibdeps dpkg-dev)
  need(file file)
elseif(CPACK_GENERATOR STREQUAL "RPM")
  need(rpm rpm)
endif()
