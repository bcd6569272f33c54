# Compiler flags. Presets (CMakePresets.json) choose the build type and the sanitizer.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
	set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()

option(MOSAIC_TESTS "build the tests" ON)
option(MOSAIC_FUZZ "build the fuzz targets with libFuzzer (clang)" OFF)
set(MOSAIC_SANITIZE "" CACHE STRING "address, thread or empty")

add_compile_options(-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes
	-Wmissing-prototypes -Wcast-qual -Wformat=2 -Wundef -Wvla -Werror
	-fno-strict-aliasing -fno-omit-frame-pointer -g)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
	add_compile_options(-O2 -fstack-protector-strong)
	add_compile_definitions(_FORTIFY_SOURCE=2)
	add_link_options(-Wl,-z,relro,-z,now)
endif()
if(MOSAIC_SANITIZE STREQUAL "address")
	add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all)
	add_link_options(-fsanitize=address,undefined)
elseif(MOSAIC_SANITIZE STREQUAL "thread")
	add_compile_options(-fsanitize=thread)
	add_link_options(-fsanitize=thread)
endif()
if(MOSAIC_FUZZ)
	add_compile_options(-fsanitize=fuzzer-no-link) # coverage of the code under test
endif()
add_compile_definitions(_GNU_SOURCE MOSAIC_VERSION="${PROJECT_VERSION}")
