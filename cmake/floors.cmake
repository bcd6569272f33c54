# mosaic_floor(NAME USES LOWER...)   core/NAME as a static library
#
# Headers are included as "NAME/file.h". The include path of a floor is a folder that holds one
# link, NAME -> core/NAME, so a floor finds its own headers and those of the floors it uses, and a
# wrong include does not compile.
function(mosaic_floor name)
	cmake_parse_arguments(F "" "" "USES" ${ARGN})
	set(dir ${CMAKE_BINARY_DIR}/floors/${name})
	file(MAKE_DIRECTORY ${dir})
	file(CREATE_LINK ${CMAKE_SOURCE_DIR}/core/${name} ${dir}/${name} SYMBOLIC)
	file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/core/${name}/*.c)
	set(lib floor_${name})
	if(NOT sources)
		add_library(${lib} INTERFACE)
		target_include_directories(${lib} INTERFACE ${dir} ${CMAKE_SOURCE_DIR}/sdk/include)
		foreach(lower ${F_USES})
			target_link_libraries(${lib} INTERFACE floor_${lower})
		endforeach()
		return()
	endif()
	add_library(${lib} STATIC ${sources})
	target_include_directories(${lib} PUBLIC ${dir} ${CMAKE_SOURCE_DIR}/sdk/include)
	foreach(lower ${F_USES})
		target_link_libraries(${lib} PUBLIC floor_${lower})
	endforeach()
	if(EXISTS ${CMAKE_SOURCE_DIR}/core/${name}/floor.cmake)
		include(${CMAKE_SOURCE_DIR}/core/${name}/floor.cmake) # foreign libraries of this floor
	endif()
endfunction()

# mosaic_plugin(NAME KIND SOURCES... [LIBS LIB...])
#
# Builds build/PRESET/plugins/NAME.so from sdk/include and its own libraries only, and plugin_NAME,
# the same code as a static library whose descriptor is called mosaic_plugin_NAME (dashes become
# underscores), for programs that link plugins in (simulator, fuzz targets).
function(mosaic_plugin name)
	cmake_parse_arguments(P "" "" "SOURCES;LIBS" ${ARGN})
	string(REPLACE "-" "_" ident ${name})
	add_library(${name} MODULE ${P_SOURCES})
	set_target_properties(${name} PROPERTIES PREFIX "" OUTPUT_NAME ${name}
		LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
	target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
	target_link_libraries(${name} PRIVATE ${P_LIBS})
	if(NOT MOSAIC_SANITIZE AND NOT MOSAIC_FUZZ)
		target_link_options(${name} PRIVATE -Wl,-z,defs -Wl,-z,now)
	endif()
	install(TARGETS ${name} DESTINATION lib/mosaic/plugins)

	add_library(plugin_${ident} STATIC ${P_SOURCES})
	target_include_directories(plugin_${ident} PRIVATE ${CMAKE_SOURCE_DIR}/sdk/include)
	target_compile_definitions(plugin_${ident} PRIVATE MOSAIC_PLUGIN_SYMBOL=mosaic_plugin_${ident})
	target_link_libraries(plugin_${ident} PUBLIC ${P_LIBS})
endfunction()

# mosaic_test(NAME SOURCE LABEL LIBS LIB...)   a cmocka program registered with ctest
function(mosaic_test name source label)
	cmake_parse_arguments(T "" "TIMEOUT" "LIBS" ${ARGN})
	if(NOT T_TIMEOUT)
		set(T_TIMEOUT 180)
	endif()
	add_executable(${name} ${source})
	target_include_directories(${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
	target_compile_options(${name} PRIVATE -Wno-conversion)
	target_link_libraries(${name} PRIVATE ${T_LIBS} cmocka)
	add_test(NAME ${name} COMMAND ${name})
	set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${T_TIMEOUT}
		ENVIRONMENT "MOSAIC_BUILD=${CMAKE_BINARY_DIR};MOSAIC_SOURCE=${CMAKE_SOURCE_DIR}")
endfunction()
