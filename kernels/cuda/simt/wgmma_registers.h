// Register lists for wgmma: MFS_R_n is the list of the n / 2 accumulator operands in the instruction's text, MFS_D_n(c) the
// same list as operands with constraint c.
#pragma once

#define MFS_R_8 "%0, %1, %2, %3"
#define MFS_R_16 MFS_R_8 ", %4, %5, %6, %7"
#define MFS_R_24 MFS_R_16 ", %8, %9, %10, %11"
#define MFS_R_32 MFS_R_24 ", %12, %13, %14, %15"
#define MFS_R_40 MFS_R_32 ", %16, %17, %18, %19"
#define MFS_R_48 MFS_R_40 ", %20, %21, %22, %23"
#define MFS_R_56 MFS_R_48 ", %24, %25, %26, %27"
#define MFS_R_64 MFS_R_56 ", %28, %29, %30, %31"
#define MFS_R_72 MFS_R_64 ", %32, %33, %34, %35"
#define MFS_R_80 MFS_R_72 ", %36, %37, %38, %39"
#define MFS_R_88 MFS_R_80 ", %40, %41, %42, %43"
#define MFS_R_96 MFS_R_88 ", %44, %45, %46, %47"
#define MFS_R_104 MFS_R_96 ", %48, %49, %50, %51"
#define MFS_R_112 MFS_R_104 ", %52, %53, %54, %55"
#define MFS_R_120 MFS_R_112 ", %56, %57, %58, %59"
#define MFS_R_128 MFS_R_120 ", %60, %61, %62, %63"
#define MFS_R_136 MFS_R_128 ", %64, %65, %66, %67"
#define MFS_R_144 MFS_R_136 ", %68, %69, %70, %71"
#define MFS_R_152 MFS_R_144 ", %72, %73, %74, %75"
#define MFS_R_160 MFS_R_152 ", %76, %77, %78, %79"
#define MFS_R_168 MFS_R_160 ", %80, %81, %82, %83"
#define MFS_R_176 MFS_R_168 ", %84, %85, %86, %87"
#define MFS_R_184 MFS_R_176 ", %88, %89, %90, %91"
#define MFS_R_192 MFS_R_184 ", %92, %93, %94, %95"
#define MFS_R_200 MFS_R_192 ", %96, %97, %98, %99"
#define MFS_R_208 MFS_R_200 ", %100, %101, %102, %103"
#define MFS_R_216 MFS_R_208 ", %104, %105, %106, %107"
#define MFS_R_224 MFS_R_216 ", %108, %109, %110, %111"
#define MFS_R_232 MFS_R_224 ", %112, %113, %114, %115"
#define MFS_R_240 MFS_R_232 ", %116, %117, %118, %119"
#define MFS_R_248 MFS_R_240 ", %120, %121, %122, %123"
#define MFS_R_256 MFS_R_248 ", %124, %125, %126, %127"
#define MFS_D_8(c) c(d[0]), c(d[1]), c(d[2]), c(d[3])
#define MFS_D_16(c) MFS_D_8(c), c(d[4]), c(d[5]), c(d[6]), c(d[7])
#define MFS_D_24(c) MFS_D_16(c), c(d[8]), c(d[9]), c(d[10]), c(d[11])
#define MFS_D_32(c) MFS_D_24(c), c(d[12]), c(d[13]), c(d[14]), c(d[15])
#define MFS_D_40(c) MFS_D_32(c), c(d[16]), c(d[17]), c(d[18]), c(d[19])
#define MFS_D_48(c) MFS_D_40(c), c(d[20]), c(d[21]), c(d[22]), c(d[23])
#define MFS_D_56(c) MFS_D_48(c), c(d[24]), c(d[25]), c(d[26]), c(d[27])
#define MFS_D_64(c) MFS_D_56(c), c(d[28]), c(d[29]), c(d[30]), c(d[31])
#define MFS_D_72(c) MFS_D_64(c), c(d[32]), c(d[33]), c(d[34]), c(d[35])
#define MFS_D_80(c) MFS_D_72(c), c(d[36]), c(d[37]), c(d[38]), c(d[39])
#define MFS_D_88(c) MFS_D_80(c), c(d[40]), c(d[41]), c(d[42]), c(d[43])
#define MFS_D_96(c) MFS_D_88(c), c(d[44]), c(d[45]), c(d[46]), c(d[47])
#define MFS_D_104(c) MFS_D_96(c), c(d[48]), c(d[49]), c(d[50]), c(d[51])
#define MFS_D_112(c) MFS_D_104(c), c(d[52]), c(d[53]), c(d[54]), c(d[55])
#define MFS_D_120(c) MFS_D_112(c), c(d[56]), c(d[57]), c(d[58]), c(d[59])
#define MFS_D_128(c) MFS_D_120(c), c(d[60]), c(d[61]), c(d[62]), c(d[63])
#define MFS_D_136(c) MFS_D_128(c), c(d[64]), c(d[65]), c(d[66]), c(d[67])
#define MFS_D_144(c) MFS_D_136(c), c(d[68]), c(d[69]), c(d[70]), c(d[71])
#define MFS_D_152(c) MFS_D_144(c), c(d[72]), c(d[73]), c(d[74]), c(d[75])
#define MFS_D_160(c) MFS_D_152(c), c(d[76]), c(d[77]), c(d[78]), c(d[79])
#define MFS_D_168(c) MFS_D_160(c), c(d[80]), c(d[81]), c(d[82]), c(d[83])
#define MFS_D_176(c) MFS_D_168(c), c(d[84]), c(d[85]), c(d[86]), c(d[87])
#define MFS_D_184(c) MFS_D_176(c), c(d[88]), c(d[89]), c(d[90]), c(d[91])
#define MFS_D_192(c) MFS_D_184(c), c(d[92]), c(d[93]), c(d[94]), c(d[95])
#define MFS_D_200(c) MFS_D_192(c), c(d[96]), c(d[97]), c(d[98]), c(d[99])
#define MFS_D_208(c) MFS_D_200(c), c(d[100]), c(d[101]), c(d[102]), c(d[103])
#define MFS_D_216(c) MFS_D_208(c), c(d[104]), c(d[105]), c(d[106]), c(d[107])
#define MFS_D_224(c) MFS_D_216(c), c(d[108]), c(d[109]), c(d[110]), c(d[111])
#define MFS_D_232(c) MFS_D_224(c), c(d[112]), c(d[113]), c(d[114]), c(d[115])
#define MFS_D_240(c) MFS_D_232(c), c(d[116]), c(d[117]), c(d[118]), c(d[119])
#define MFS_D_248(c) MFS_D_240(c), c(d[120]), c(d[121]), c(d[122]), c(d[123])
#define MFS_D_256(c) MFS_D_248(c), c(d[124]), c(d[125]), c(d[126]), c(d[127])
